"""`kira backup` and `kira restore`: a drill, with everything that can go wrong on the way."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.local.rig import PASSWORD, ask, in_terminal, kira, kira_up, rows
from tests.local.writing import Written

from kira.domain.errors import Conflict
from kira.local.lock import address_of, alone, share

COUNT = "SELECT COUNT(*) FROM messages"


def _only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def _change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


@pytest.fixture
def backup(data: Path, tmp_path: Path, written: Callable[..., Written]) -> Path:
    """A backup of 2 conversations with 8 messages; the data has one message less since."""
    written(conversations=2, questions=2)
    target = tmp_path / "kept" / "kira.sqlite"
    assert kira(data, "backup", str(target)).code == 0
    _change(
        data / "kira.sqlite",
        "DELETE FROM messages WHERE role = 'assistant' AND rowid = (SELECT MAX(rowid) FROM messages)",
    )
    assert rows(data, COUNT) == [(7,)]
    return target


def test_a_backup_is_one_file_that_only_its_owner_reads(data: Path, written: Callable[..., Written]) -> None:
    written(conversations=2, questions=3)
    done = kira(data, "backup")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Backed up 1 user, 2 conversations, 12 messages to ")
    assert "master key is not in it" in done.out
    made = _only(data / "backups", "kira-*.sqlite")
    assert list((data / "backups").iterdir()) == [made]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_backup_of_a_running_kira_is_whole(models: str, data: Path, tmp_path: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        assert ask(data, running.address, "keep this").code == 0
        done = kira(data, "backup", str(tmp_path / "b.sqlite"))
        assert (done.code, done.err) == (0, "")
        assert "1 conversation, 2 messages" in done.out
    with closing(sqlite3.connect(tmp_path / "b.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT content FROM messages WHERE role = 'user'").fetchall() == [("keep this",)]


def test_a_backup_overwrites_nothing_and_needs_data(
    data: Path, tmp_path: Path, written: Callable[..., Written]
) -> None:
    target = tmp_path / "b.sqlite"
    nothing = kira(data, "backup", str(target))
    assert (nothing.code, data.exists(), target.exists()) == (2, False, False)
    written()
    target.write_text("precious")
    done = kira(data, "backup", str(target))
    assert (done.code, target.read_text()) == (2, "precious")
    assert "is there already" in done.err


def test_restore_puts_everything_back_and_keeps_what_was_there(models: str, data: Path, backup: Path) -> None:
    done = kira(data, "restore", str(backup), "--yes")
    assert (done.code, done.err) == (0, "")
    assert "It will replace" in done.out
    assert "2 conversations, 7 messages" in done.out
    assert "Restored 1 user, 2 conversations, 8 messages." in done.out
    assert rows(data, COUNT) == [(8,)]
    kept = _only(data, "kira-replaced-*.sqlite")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute(COUNT).fetchone() == (7,)
    assert backup.exists()
    assert not list(data.glob("*.restoring")) + list(data.glob("kira.sqlite-*"))
    with kira_up(data, KIRA_OLLAMA=models) as running:
        assert ask(data, running.address, "hello").code == 0


def test_restore_keeps_what_a_killed_kira_left_in_its_journal(models: str, data: Path, backup: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        assert ask(data, running.address, "in the journal").code == 0
        running.stop(9)
    assert (data / "kira.sqlite-wal").stat().st_size > 0
    assert kira(data, "restore", str(backup), "--yes").code == 0
    assert not (data / "kira.sqlite-wal").exists()
    assert rows(data, COUNT) == [(8,)]
    with closing(sqlite3.connect(_only(data, "kira-replaced-*.sqlite"))) as connection:
        assert connection.execute(COUNT).fetchone() == (9,)


def test_restore_refuses_while_kira_runs(models: str, data: Path, backup: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        done = kira(data, "restore", str(backup), "--yes")
        assert done.code == 2
        assert "runs" in done.err or "open" in done.err
        assert running.process.poll() is None
    assert rows(data, COUNT) == [(7,)]
    assert not list(data.glob("kira-replaced-*")) + list(data.glob("*.restoring"))


def test_restore_refuses_while_any_program_has_the_file_open(data: Path, backup: Path) -> None:
    with closing(sqlite3.connect(data / "kira.sqlite")) as connection:
        connection.execute(COUNT).fetchone()
        done = kira(data, "restore", str(backup), "--yes")
    assert done.code == 2
    assert "Another program" in done.err
    assert rows(data, COUNT) == [(7,)]


def test_restore_refuses_what_is_no_whole_backup_of_this_kira(data: Path, backup: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("not a database at all, but long enough to have a header" * 40)
    foreign = tmp_path / "foreign.sqlite"
    _change(foreign, "CREATE TABLE songs (name TEXT)")
    newer = tmp_path / "newer.sqlite"
    shutil.copy(backup, newer)
    _change(newer, "INSERT INTO schema_steps (number, name, sha256, applied_at) VALUES (9999, 'later', '', 0)")
    damaged = tmp_path / "damaged.sqlite"
    whole = backup.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2] + b"\xff" * 9000 + whole[len(whole) // 2 + 9000 :])
    half = tmp_path / "half.sqlite"
    half.write_bytes(whole[: len(whole) // 3])
    used = tmp_path / "used.sqlite"
    shutil.copy(backup, used)
    used.with_name("used.sqlite-wal").write_bytes(b"a journal")
    before = (data / "kira.sqlite").read_bytes()
    for source in (text, foreign, newer, damaged, half, used, tmp_path / "none.sqlite"):
        done = kira(data, "restore", str(source), "--yes")
        assert done.code == 2, source
        assert len(done.err.splitlines()) == 1, done.err
        assert (data / "kira.sqlite").read_bytes() == before
    assert not list(data.glob("kira-replaced-*")) + list(data.glob("*.restoring"))


def test_a_damaged_database_can_be_replaced(data: Path, backup: Path) -> None:
    (data / "kira.sqlite").write_bytes(b"\x00" * 50_000)
    done = kira(data, "restore", str(backup), "--yes")
    assert done.code == 0
    assert "cannot be read" in done.out
    assert rows(data, COUNT) == [(8,)]
    assert _only(data, "kira-replaced-*.sqlite").stat().st_size == 50_000


def test_restore_on_a_new_computer_needs_the_key_too(data: Path, backup: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    done = kira(fresh, "restore", str(backup), "--yes")
    assert done.code == 0
    assert "There is no data in" in done.out
    assert "put yours there" in done.out
    assert rows(fresh, COUNT) == [(8,)]
    (fresh / "master.key").write_bytes((data / "master.key").read_bytes())
    assert "put yours there" not in kira(fresh, "restore", str(backup), "--yes").out


def test_restore_asks_first(data: Path, backup: Path) -> None:
    unasked = kira(data, "restore", str(backup))
    assert (unasked.code, rows(data, COUNT)) == (2, [(7,)])
    assert "--yes" in unasked.err
    with in_terminal(data, "restore", str(backup)) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("\n")
        terminal.wait_for("Nothing was changed.")
        assert terminal.end() == 0
    assert rows(data, COUNT) == [(7,)]
    with in_terminal(data, "restore", str(backup)) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("y\n")
        terminal.wait_for("Restored")
        assert terminal.end() == 0
    assert rows(data, COUNT) == [(8,)]


def test_accounts_come_back_with_their_passwords(models: str, data: Path, tmp_path: Path) -> None:
    kira(data, "users", "add", "--email", "ada@example.org", KIRA_PASSWORD=PASSWORD)
    target = tmp_path / "b.sqlite"
    assert kira(data, "backup", str(target)).code == 0
    fresh = tmp_path / "fresh"
    assert kira(fresh, "restore", str(target), "--yes").code == 0
    with kira_up(fresh, KIRA_OLLAMA=models) as running:
        who = {"KIRA_EMAIL": "ada@example.org", "KIRA_PASSWORD": PASSWORD}
        assert ask(fresh, running.address, "hello", **who).code == 0


def test_the_lock_lets_many_use_the_data_or_one_replace_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kira.local.lock.PATIENCE_SECONDS", 0.1)
    with share(tmp_path) as first, share(tmp_path):
        first.tell("http://127.0.0.1:1")
        assert address_of(tmp_path) == "http://127.0.0.1:1"
        with pytest.raises(Conflict, match="Kira runs on"), alone(tmp_path):
            pass
    assert address_of(tmp_path) is None
    with alone(tmp_path):
        assert address_of(tmp_path) is None
        with pytest.raises(Conflict, match="being restored"), share(tmp_path):
            pass
    with share(tmp_path):
        pass
