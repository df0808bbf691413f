"""`kira users`: accounts from the terminal, the first of which takes over what the single user had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.local.rig import PASSWORD, Done, ask, in_terminal, kira, kira_up, rows
from tests.local.writing import Written


def _add(data: Path, email: str, *more: str, password: str = PASSWORD) -> Done:
    return kira(data, "users", "add", "--email", email, *more, KIRA_PASSWORD=password)


def test_the_first_user_is_an_admin_and_accounts_are_on(data: Path) -> None:
    done = _add(data, "Ada@Example.org")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Added ada@example.org as an admin.\nAccounts are on now")
    assert "single-user mode" not in done.out
    assert rows(data, "SELECT email, name, role, local FROM users") == [("ada@example.org", "ada", "admin", 0)]


def test_the_first_user_keeps_what_was_written(data: Path, written: Callable[..., Written]) -> None:
    before = written(conversations=2, questions=1)
    done = _add(data, "ada@example.org", "--name", "Ada")
    assert "everything that was written in the single-user mode" in done.out
    assert rows(data, "SELECT id, email, name, role, local FROM users") == [
        (before.user_id, "ada@example.org", "Ada", "admin", 0)
    ]
    assert rows(data, "SELECT COUNT(*) FROM messages WHERE user_id = ?", before.user_id) == [(4,)]


def test_the_next_ones_are_users_unless_told(data: Path) -> None:
    _add(data, "ada@example.org")
    assert _add(data, "bob@example.org").out == "Added bob@example.org as a user.\n"
    assert _add(data, "eve@example.org", "--admin").out == "Added eve@example.org as an admin.\n"
    assert rows(data, "SELECT role FROM users ORDER BY email") == [("admin",), ("user",), ("admin",)]


def test_what_cannot_be_is_one_sentence_and_changes_nothing(data: Path) -> None:
    _add(data, "ada@example.org")
    refused = {
        "already an account": _add(data, "ADA@example.org"),
        "not an e-mail": _add(data, "ada"),
        "at least 8 characters": _add(data, "bob@example.org", password="short"),
        "KIRA_PASSWORD": _add(data, "bob@example.org", password=""),
    }
    for told, done in refused.items():
        assert (done.code, done.out) == (2, "")
        assert told in done.err
        assert len(done.err.splitlines()) == 1
    assert rows(data, "SELECT COUNT(*) FROM users") == [(1,)]


def test_a_password_is_asked_for_twice_and_not_shown(data: Path) -> None:
    with in_terminal(data, "users", "add", "--email", "ada@example.org") as terminal:
        terminal.wait_for("Password: ")
        terminal.type(f"{PASSWORD}\n")
        terminal.wait_for("again: ")
        terminal.type(f"{PASSWORD}\n")
        terminal.wait_for("Added ada@example.org")
        assert terminal.end() == 0
        assert PASSWORD not in terminal.seen
    with in_terminal(data, "users", "add", "--email", "bob@example.org") as terminal:
        terminal.wait_for("Password: ")
        terminal.type(f"{PASSWORD}\n")
        terminal.wait_for("again: ")
        terminal.type("another password\n")
        terminal.wait_for("differ")
        assert terminal.end() == 2


def test_the_list_shows_everybody_a_line(data: Path) -> None:
    _add(data, "ada@example.org", "--name", "Ada")
    _add(data, "bob@example.org")
    lines = [line.split("\t") for line in kira(data, "users", "list").out.splitlines()]
    assert [line[:3] for line in lines] == [["ada@example.org", "Ada", "admin"], ["bob@example.org", "bob", "user"]]
    assert [line[4] for line in lines] == ["not lately", "not lately"]
    with in_terminal(data, "users", "list") as terminal:
        assert terminal.end() == 0
        assert "E-mail" in terminal.seen
        assert "bob@example.org" in terminal.seen


def test_listing_nothing_makes_nothing(data: Path) -> None:
    assert "no users yet" in kira(data, "users", "list").out
    assert not data.exists()


def test_a_running_kira_knows_the_new_user_and_no_longer_the_printed_address(models: str, data: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        alone = ask(data, running.address, "hello")
        assert alone.code == 0
        assert "taken over" not in _add(data, "ada@example.org").out
        refused = ask(data, running.address, "hello")
        assert (refused.code, refused.out) == (2, "")
        assert "KIRA_EMAIL" in refused.err
        who = {"KIRA_EMAIL": "ada@example.org", "KIRA_PASSWORD": PASSWORD}
        known = ask(data, running.address, "hello", **who)
        assert known.code == 0
        assert "hello" in known.out
        assert running.stop() == 0
    seen = kira(data, "users", "list").out.split("\t")[4]
    assert seen.strip().endswith("UTC")
