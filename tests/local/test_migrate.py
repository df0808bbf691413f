"""`kira migrate`: both ways and back again, killed anywhere, and refused where it would do harm."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from tests.engines import fresh
from tests.local.rig import KIRA, MODEL, PASSWORD, Done, ask, environment, in_terminal, kira, kira_up, rows
from tests.local.writing import Written
from tests.moving import contents, database, moved, seed, shape

from kira.adapters.database.postgres import PostgresConfig, create_database
from kira.domain.errors import WrongSetting
from kira.local.commands.migrate_words import Side, duration

KILLS = 20


def _change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


def _one_sentence(done: Done, *parts: str) -> None:
    assert done.code == 2, done
    assert len(done.err.splitlines()) == 1, done.err
    for part in parts:
        assert part in done.err


def test_it_says_what_was_moved_what_goes_along_and_the_way_back(data: Path) -> None:
    seed(data / "kira.sqlite")
    address = database()
    done = kira(data, "migrate", "sqlite", address)
    assert (done.code, done.err) == (0, "")
    assert "Moved 2 users, 2 conversations, 240 messages (254 rows in all) from" in done.out
    assert "both sides were compared and hold the same" in done.out
    assert "KIRA_DATABASE" in done.out
    assert "master.key of the Kira that used FROM must go along" in done.out
    assert "1 answer had begun and not ended" in done.out
    assert f"kira migrate --back '{address}' {data / 'kira.sqlite'}" in done.out
    assert moved(data / "kira.sqlite") == moved(address)
    again = kira(data, "migrate", "sqlite", address)
    _one_sentence(again, "TO already holds 2 users", "--back")
    (data / "master.key").write_text("k" * 43)
    assert f"{data / 'master.key'} must go along" in kira(data, "migrate", "sqlite", database()).out
    with_key = kira(data, "migrate", "sqlite", database(), KIRA_MASTER_KEY="k" * 43)
    assert "the same KIRA_MASTER_KEY" in with_key.out


def test_signing_in_and_a_waiting_run_go_on_after_both_ways(models: str, data: Path, tmp_path: Path) -> None:
    assert kira(data, "users", "add", "--email", "ada@example.org", KIRA_PASSWORD=PASSWORD).code == 0
    who = {"KIRA_EMAIL": "ada@example.org", "KIRA_PASSWORD": PASSWORD}
    with kira_up(data, KIRA_OLLAMA=models) as running:
        assert ask(data, running.address, "before", **who).code == 0
        assert running.stop() == 0
    user = rows(data, "SELECT id FROM users")[0][0]
    asked = rows(data, "SELECT id, conversation_id FROM messages WHERE role = 'user'")[0]
    _change(
        data / "kira.sqlite",
        "INSERT INTO runs (user_id, id, kind, background, conversation_id, message_id, model, state, created_at) "
        f"VALUES ('{user}', 'waits', 'reply', 0, '{asked[1]}', '{asked[0]}', '{MODEL}', 'queued', 1)",
    )
    address, fresh_data = database(), tmp_path / "fresh"
    fresh_data.mkdir()
    assert kira(data, "migrate", "sqlite", address).code == 0
    done = kira(fresh_data, "migrate", address, "sqlite")
    assert (done.code, done.err) == (0, "")
    assert "Leave KIRA_DATABASE unset" in done.out
    assert contents(data / "kira.sqlite")["sessions"] == contents(fresh_data / "kira.sqlite")["sessions"]
    shutil.copy(data / "master.key", fresh_data)
    with kira_up(fresh_data, KIRA_OLLAMA=models) as running:
        assert ask(fresh_data, running.address, "after", **who).code == 0
        while rows(fresh_data, "SELECT state FROM runs WHERE id = 'waits'") != [("done",)]:
            assert running.process.poll() is None


@pytest.mark.parametrize("way", ["there", "back"])
def test_killed_anywhere_it_goes_on_without_losing_or_doubling(data: Path, tmp_path: Path, way: str) -> None:
    chance, kills = random.Random(7), 0
    origin: Path | str = seed(data / "kira.sqlite", 400)
    expected = moved(origin)
    if way == "back":
        address = database()
        assert kira(data, "migrate", "sqlite", address).code == 0
        origin = address
    number = 0
    while kills < KILLS:
        number += 1
        target: Path | str = database() if way == "there" else tmp_path / f"{number}.sqlite"
        command = [KIRA, "migrate", str(origin), str(target), "--batch", "9"]
        code: int | None = None
        while code is None:
            process = subprocess.Popen(command, env=environment(data), stdout=subprocess.DEVNULL)
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(chance.uniform(0.4, 1.1) if kills < KILLS else None)
            if code is None:
                process.kill()
                process.wait()
                kills += 1
        assert code == 0 or _is_done(target), target
        assert moved(target) == expected
        if isinstance(target, str):
            assert shape(target) == shape(fresh("postgres")[0])
        else:
            with closing(sqlite3.connect(target)) as file:
                file.execute("INSERT INTO messages_fts (messages_fts) VALUES ('integrity-check')")
                found = "SELECT COUNT(*) FROM messages_fts WHERE messages_fts MATCH 'copperbeech'"
                assert file.execute(found).fetchone() == (80,)


def _is_done(target: Path | str) -> bool:
    """Say whether a process was killed after its last change, so that the next one found a target that is in use."""
    return bool(contents(target)["users"][0])


def test_what_did_not_finish_is_refused_by_kira_and_goes_on(data: Path, tmp_path: Path) -> None:
    seed(tmp_path / "one.sqlite", 400)
    _change(tmp_path / "one.sqlite", "UPDATE messages SET model = CAST(x'00' AS TEXT) WHERE id = 'm000399'")
    refused = kira(data, "migrate", str(tmp_path / "one.sqlite"), "sqlite", "--batch", "50")
    _one_sentence(refused, "NUL character")
    settings = environment(data, KIRA_PORT="0")
    up = subprocess.run([KIRA, "up"], env=settings, capture_output=True, text=True, check=False)
    assert up.returncode == 2
    assert "a migration that did not finish" in up.stderr
    _change(tmp_path / "one.sqlite", "UPDATE messages SET model = 'm' WHERE id = 'm000399'")
    told = kira(data, "migrate", str(tmp_path / "one.sqlite"), "sqlite", "--dry-run")
    assert "An unfinished migration would go on" in told.out
    assert kira(data, "migrate", str(tmp_path / "one.sqlite"), "sqlite").code == 0
    assert moved(tmp_path / "one.sqlite") == moved(data / "kira.sqlite")


def test_of_another_source_it_does_not_go_on(data: Path, tmp_path: Path) -> None:
    seed(tmp_path / "one.sqlite", 20)
    _change(tmp_path / "one.sqlite", "UPDATE messages SET model = CAST(x'00' AS TEXT)")
    seed(tmp_path / "two.sqlite", 30)
    for target in ("sqlite", database()):
        assert kira(data, "migrate", str(tmp_path / "one.sqlite"), target).code == 2
        _one_sentence(kira(data, "migrate", str(tmp_path / "two.sqlite"), target), "another FROM", "--anew")
        told = kira(data, "migrate", str(tmp_path / "two.sqlite"), target, "--dry-run")
        assert "It would be refused" in told.out
        assert kira(data, "migrate", str(tmp_path / "two.sqlite"), target, "--anew").code == 0
        assert moved(tmp_path / "two.sqlite") == moved(target if target != "sqlite" else data / "kira.sqlite")


def test_a_look_changes_nothing(data: Path) -> None:
    seed(data / "kira.sqlite")
    before = (data / "kira.sqlite").read_bytes()
    address = database()
    told = kira(data, "migrate", "sqlite", address, "--dry-run")
    assert (told.code, told.err) == (0, "")
    assert "messages\t240" in told.out
    assert "This takes about" in told.out
    assert "TO would be made ready first. Nothing was changed." in told.out
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT to_regnamespace('kira')").fetchone() == (None,)
    with_file = kira(data, "migrate", "sqlite", str(data / "new" / "two.sqlite"), "--dry-run")
    assert (with_file.code, (data / "new").exists()) == (0, False)
    assert (data / "kira.sqlite").read_bytes() == before
    full = database()
    assert kira(data, "migrate", "sqlite", full).code == 0
    assert "It would be refused: TO already holds 2 users." in kira(data, "migrate", "sqlite", full, "--dry-run").out
    kept = kira(data, "migrate", "--back", full, "sqlite", "--dry-run")
    assert "2 users would be kept under another name" in kept.out


def test_the_way_back_keeps_the_old_side(data: Path) -> None:
    seed(data / "kira.sqlite")
    old, address = moved(data / "kira.sqlite"), database()
    assert kira(data, "migrate", "sqlite", address).code == 0
    with psycopg.connect(address) as connection:
        connection.execute("UPDATE kira.conversations SET title = 'written since', updated_at = 5")
    _one_sentence(kira(data, "migrate", address, "sqlite"), "already holds")
    back = kira(data, "migrate", "--back", address, "sqlite")
    assert (back.code, back.err) == (0, "")
    assert "is kept as" in back.out
    assert rows(data, "SELECT DISTINCT title FROM conversations") == [("written since",)]
    (kept,) = data.glob("kira-replaced-*.sqlite")
    assert moved(kept) == old
    again = kira(data, "migrate", "--back", str(kept), address)
    assert (again.code, again.err) == (0, "")
    assert "the schema kira_replaced_" in again.out
    assert moved(address) == old


def test_a_running_kira_is_noticed(models: str, data: Path) -> None:
    address = database()
    with kira_up(data, KIRA_OLLAMA=models) as running:
        assert ask(data, running.address, "keep this").code == 0
        _one_sentence(kira(data, "migrate", "sqlite", address), "Kira runs on", "--while-running")
        assert kira(data, "migrate", "sqlite", address, "--dry-run").code == 0
        done = kira(data, "migrate", "sqlite", address, "--while-running")
        assert (done.code, done.err) == (0, "")
        assert running.process.poll() is None
        assert ask(data, running.address, "and this").code == 0
        _one_sentence(kira(data, "migrate", "--back", address, "sqlite", "--while-running"), "Kira runs on")
    assert moved(address)["messages"][0] == 2
    used = address.replace("user=postgres", "user=kira_app")
    with psycopg.connect(used):
        _one_sentence(kira(data, "migrate", address, str(data / "two.sqlite")), "A Kira runs on FROM")
        assert kira(data, "migrate", address, str(data / "two.sqlite"), "--while-running").code == 0
        _one_sentence(kira(data, "migrate", "--back", "sqlite", address), "A Kira runs on TO")


def test_what_cannot_be_moved_is_refused_in_one_sentence(data: Path, tmp_path: Path) -> None:
    path = seed(data / "kira.sqlite", 4)
    before, text = path.read_bytes(), tmp_path / "text.sqlite"
    text.write_text("not a database at all, but long enough to have a header" * 40)
    foreign, newer, older = tmp_path / "foreign.sqlite", tmp_path / "newer.sqlite", tmp_path / "older.sqlite"
    _change(foreign, "CREATE TABLE songs (name TEXT)")
    for made, sql in (
        (newer, "INSERT INTO schema_steps (number, name, sha256, applied_at) VALUES (9999, 'later', '', 0)"),
        (older, "DELETE FROM schema_steps WHERE number > 0"),
    ):
        shutil.copy(path, made)
        _change(made, sql)
    own, application = fresh("postgres")
    nobody = "postgresql://kira:s3cret@127.0.0.1:9/kira"
    for arguments, said in (
        (("sqlite", "sqlite"), "are the same"),
        (("sqlite", str(path)), "are the same"),
        ((own, f"{own} application_name=x"), "are the same"),
        ((str(tmp_path / "none.sqlite"), own), "There is no file"),
        ((str(text), own), "cannot be read"),
        ((str(foreign), own), "not a database of Kira's"),
        ((str(newer), own), "a newer Kira"),
        ((str(older), own), "Kira"),
        (("sqlite", str(newer)), "a newer Kira"),
        (("sqlite", str(text)), "cannot be used"),
        (("sqlite", application), "only one user's rows"),
        ((application, "sqlite"), "only one user's rows"),
        (("sqlite", nobody), "cannot be reached"),
        (("sqlite", "mysql://x"), "mysql://"),
        (("sqlite", "postgresql://x:y:z:9/"), "PostgreSQL"),
        ((database(), str(tmp_path / "two.sqlite")), "nothing to move"),
        (("sqlite", own.replace("dbname=", "dbname=none_")), "does not exist"),
    ):
        done = kira(data, "migrate", *arguments)
        _one_sentence(done, said)
        assert "s3cret" not in done.err
    assert path.read_bytes() == before
    assert not (tmp_path / "two.sqlite").exists()
    with pytest.raises(WrongSetting):
        create_database(PostgresConfig(own))  # a superuser is no role for Kira, migrated or not


def test_a_terminal_sees_a_bar_and_a_pipe_sees_lines(data: Path, written: Callable[..., Written]) -> None:
    written(conversations=30, questions=10)
    with in_terminal(data, "migrate", "sqlite", database()) as terminal:
        terminal.wait_for("both sides were compared")
        assert terminal.end() == 0


def test_a_password_is_never_shown() -> None:
    assert Side("postgresql://kira:s3cret@host/db").shown == "postgresql://kira:...@host/db"
    assert Side("host=h password=s3cret dbname=d").shown == "host=h password=... dbname=d"
    assert Side("postgresql://host/db?password=s3cret&x=y").shown == "postgresql://host/db?password=...&x=y"
    assert Side("postgresql://kira@host/db").shown == "postgresql://kira@host/db"
    assert (duration(0.2), duration(61), duration(300)) == ("1 s", "61 s", "5 min")
