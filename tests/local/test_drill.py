"""The restore drill: a Kira that runs is backed up to a disk and to S3, and lives again from the copy."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.aws import CREDENTIALS, SECRET
from tests.buckets import S3, s3_server
from tests.local.rig import PASSWORD, PATIENCE_SECONDS, Done, ask, kira, kira_up, rows
from tests.local.writing import Written

from kira.local.client import Client

T = TypeVar("T")
EMAILS = ("ada@example.org", "bob@example.org")
COUNTS = "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM conversations), (SELECT COUNT(*) FROM messages)"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A server for this file."""
    with s3_server() as server:
        yield server


@dataclass(frozen=True)
class Place:
    """Where the drill keeps its backup, and the settings with which Kira gets there."""

    address: str
    settings: dict[str, str]


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A disk, and a bucket."""
    if request.param == "file":
        return Place(str(tmp_path / "other-disk" / "kira.sqlite"), {})
    s3: S3 = request.getfixturevalue("s3")
    return Place(f"s3://{s3.bucket()}/of/kira/kira.sqlite", s3.settings)


def _who(email: str) -> dict[str, str]:
    return {"KIRA_EMAIL": email, "KIRA_PASSWORD": PASSWORD}


def _as_user(address: str, email: str, work: Callable[[Client], Awaitable[T]]) -> T:
    async def do() -> T:
        client = Client(address)
        try:
            await client.sign_in(email, PASSWORD)
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(do())


async def _find_rivers(client: Client) -> list[Any]:
    return list((await client.call("GET", "/api/search?q=rivers"))["items"])


def _doctor(data: Path, **settings: str) -> Done:
    return kira(data, "doctor", **({"KIRA_PORT": "0"} | settings))


def _line(done: Done, name: str) -> str:
    (found,) = [line for line in done.out.splitlines() if line[9:].startswith(f"{name}: ")]
    return found


def _is_alive(data: Path, models: str) -> None:
    """Old passwords, old words and new messages: all that a user would try first."""
    with kira_up(data, KIRA_OLLAMA=models) as running:
        for email in EMAILS:
            hits = _as_user(running.address, email, _find_rivers)
            found = {rows(data, "SELECT content FROM messages WHERE id = ?", hit["message_id"])[0][0] for hit in hits}
            assert "name three rivers" in found
            assert ask(data, running.address, "a new question", **_who(email)).code == 0
        assert running.stop() == 0
    with closing(sqlite3.connect(data / "kira.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT COUNT(*) FROM runs WHERE kind = 'reply' AND state <> 'done'").fetchone() == (
            0,
        )
        assert connection.execute(COUNTS).fetchone() == (2, 4, 8)


def test_the_drill(models: str, data: Path, tmp_path: Path, place: Place) -> None:
    for email in EMAILS:
        assert kira(data, "users", "add", "--email", email, KIRA_PASSWORD=PASSWORD).code == 0
    with kira_up(data, KIRA_OLLAMA=models) as running:
        for email in EMAILS:
            assert ask(data, running.address, "name three rivers", **_who(email)).code == 0
        made = kira(data, "backup", place.address, **place.settings)
        assert (made.code, made.err) == (0, "")
        assert made.out.startswith(f"Backed up 2 users, 2 conversations, 4 messages to {place.address} (")
        assert ask(data, running.address, "written after the backup", **_who(EMAILS[0])).code == 0
        refused = kira(data, "restore", place.address, "--yes", **place.settings)
        assert refused.code == 2
        assert running.process.poll() is None
    assert f"is {place.address}, 0." in _line(_doctor(data, **place.settings), "backups")

    empty = tmp_path / "new-computer"
    restored = kira(empty, "restore", place.address, "--yes", **place.settings)
    assert (restored.code, restored.err) == (0, "")
    assert "Restored 2 users, 2 conversations, 4 messages." in restored.out
    assert rows(empty, COUNTS) == [(2, 2, 4)]
    shutil.copy(data / "master.key", empty / "master.key")
    _is_alive(empty, models)

    assert rows(data, COUNTS) == [(2, 3, 6)]
    again = kira(data, "restore", place.address, "--yes", **place.settings)
    assert (again.code, again.err) == (0, "")
    (kept,) = data.glob("kira-replaced-*.sqlite")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute(COUNTS).fetchone() == (2, 3, 6)
    _is_alive(data, models)
    assert SECRET not in made.out + refused.err + restored.out + again.out


def test_what_is_no_whole_backup_in_a_bucket_changes_nothing(
    data: Path, tmp_path: Path, written: Callable[..., Written], s3: S3
) -> None:
    written(conversations=2, questions=2)
    bucket = s3.bucket()
    assert kira(data, "backup", f"s3://{bucket}/good", **s3.settings).code == 0
    good = s3.client.get_object(Bucket=bucket, Key="good")
    whole = good["Body"].read()
    for name, change in (("newer", "INSERT INTO schema_steps VALUES (9999, 'later', '', 0)"), ("foreign", "")):
        made = tmp_path / name
        if change:
            made.write_bytes(whole)
        with closing(sqlite3.connect(made)) as connection:
            connection.execute(change or "CREATE TABLE songs (name TEXT)")
            connection.commit()
        s3.client.put_object(Bucket=bucket, Key=name, Body=made.read_bytes())
    for name, body in (
        ("truncated", whole[: len(whole) // 3]),
        ("damaged", whole[: len(whole) // 2] + b"\xff" * 9000 + whole[len(whole) // 2 + 9000 :]),
        ("text", b"not a database at all, but long enough to have a header" * 40),
        ("empty", b""),
    ):
        s3.client.put_object(Bucket=bucket, Key=name, Body=body)
    s3.client.put_object(Bucket=bucket, Key="meddled", Body=whole[:-1] + b"x", Metadata=good["Metadata"])
    before = (data / "kira.sqlite").read_bytes()
    sources = [*s3.keys(bucket), "none", "", "of/"]
    sources.remove("good")
    assert len(sources) == 10
    for name in sources:
        done = kira(data, "restore", f"s3://{bucket}/{name}", "--yes", **s3.settings)
        assert done.code == 2, (name, done)
        assert len(done.err.splitlines()) == 1, done.err
        assert (data / "kira.sqlite").read_bytes() == before
    assert not list(data.glob("kira-replaced-*")) + list(data.glob("*.restoring"))
    assert kira(data, "restore", f"s3://{bucket}/good", "--yes", **s3.settings).code == 0


def test_threads_of_the_library_find_no_interpreter_half_gone(
    data: Path, tmp_path: Path, written: Callable[..., Written], s3: S3
) -> None:
    written()
    (tmp_path / "sitecustomize.py").write_text("import atexit; atexit.register(print, 'the interpreter goes')")
    there, told = s3.settings | {"PYTHONPATH": str(tmp_path)}, "the interpreter goes\n"
    place = f"s3://{s3.bucket()}/one"
    at_home = kira(data, "backup", str(tmp_path / "one.sqlite"), **there)
    away, missing = kira(data, "backup", place, **there), kira(data, "restore", f"{place}-none", "--yes", **there)
    assert [at_home.code, away.code, missing.code] == [0, 0, 2]
    assert at_home.out.endswith(told)
    assert place in away.out
    assert missing.err == f"kira: There is no {place}-none.\n"
    assert told not in away.out + missing.out


def test_a_backup_overwrites_nothing_in_a_bucket(data: Path, written: Callable[..., Written], s3: S3) -> None:
    written()
    bucket = s3.bucket()
    s3.client.put_object(Bucket=bucket, Key="taken", Body=b"precious")
    done = kira(data, "backup", f"s3://{bucket}/taken", **s3.settings)
    assert done.code == 2
    assert "is there already" in done.err
    assert s3.client.get_object(Bucket=bucket, Key="taken")["Body"].read() == b"precious"
    assert kira(data, "backup", KIRA_BACKUP=f"s3://{bucket}/of/kira", **s3.settings).code == 0
    assert [key.partition("-")[0] for key in s3.keys(bucket)] == ["of/kira/kira", "taken"]
    assert not list((data / "backups").iterdir())


def test_without_the_library_a_sentence_says_how_to_get_it(
    data: Path, tmp_path: Path, written: Callable[..., Written]
) -> None:
    written()
    (tmp_path / "obstore.py").write_text("raise ImportError('it is not installed')")
    nothing = {"PYTHONPATH": str(tmp_path)}
    for command in (("backup", "s3://bucket/key"), ("restore", "s3://bucket/key", "--yes")):
        done = kira(data, *command, **nothing)
        assert done.code == 2
        assert "pip install 'kira-assistant[s3]'" in done.err
    started = kira(data, "up", "--port", "0", KIRA_BACKUP="s3://bucket", KIRA_BACKUP_EVERY="1d", **nothing)
    assert started.code == 2
    assert "pip install 'kira-assistant[s3]'" in started.err
    assert "kira-assistant[s3]" in _line(
        _doctor(data, KIRA_BACKUP="s3://bucket", KIRA_BACKUP_EVERY="1d", **nothing), "backups"
    )


def test_kiras_that_run_together_make_backups_by_themselves(models: str, data: Path) -> None:
    often = {"KIRA_BACKUP_EVERY": "2s", "KIRA_BACKUP_KEEP": "2", "KIRA_OLLAMA": models}
    folder = data / "backups"
    with kira_up(data, 0, **often) as one, kira_up(data, 0, **often) as other:
        assert ask(data, one.address, "keep this").code == 0
        _until(lambda: _logged(one.log) + _logged(other.log) >= 4)
        assert "is " + str(folder) in _line(_doctor(data, **often), "backups")
        assert (one.stop(), other.stop()) == (0, 0)
        made = [
            line.partition(_LOGGED)[2].split()[0]
            for log in (one.log, other.log)
            for line in log.read_text().splitlines()
            if _LOGGED in line
        ]
    assert len(made) == len(set(made))
    assert len([path for path in folder.iterdir() if not path.name.startswith(".")]) <= 3
    newest = max(folder.glob("kira-scheduled-*.sqlite"))
    with closing(sqlite3.connect(newest)) as connection:
        assert connection.execute("SELECT content FROM messages WHERE role = 'user'").fetchone() == ("keep this",)


def test_what_went_wrong_is_in_the_log_and_told_by_the_doctor(models: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    wrong = {"KIRA_BACKUP_EVERY": "1s", "KIRA_BACKUP": str(tmp_path / "file"), "KIRA_OLLAMA": models}
    with kira_up(data, 0, **wrong) as running:
        _until(lambda: "A scheduled backup went wrong" in running.log.read_text())
        assert ask(data, running.address, "hello").code == 0
    done = _doctor(data, **wrong)
    assert done.code == 1
    assert _line(done, "backups").startswith("wrong    backups: every 1s to ")
    assert "went wrong at" in _line(done, "backups")


def test_a_kira_that_stops_waits_for_no_bucket(models: str, data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE_SECONDS)
        there = {"KIRA_BACKUP": "s3://bucket", "KIRA_S3_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with kira_up(data, 0, KIRA_OLLAMA=models, KIRA_BACKUP_EVERY="1s", **there, **CREDENTIALS) as running:
            asked, _ = silent.accept()
            with asked:
                assert asked.recv(4) == b"HEAD"
                assert ask(data, running.address, "hello").code == 0
                assert running.stop() == 0
    assert not list((data / "backups").iterdir())


@pytest.mark.parametrize(
    ("name", "value"), [("KIRA_BACKUP_EVERY", "1d"), ("KIRA_CHECKPOINTS", "litestream")], ids=["backups", "checkpoints"]
)
def test_on_postgresql_the_start_is_refused(data: Path, name: str, value: str) -> None:
    done = kira(data, "up", "--port", "0", KIRA_DATABASE="embedded", **{name: value})
    assert (done.code, data.exists()) == (2, False)
    assert done.err.startswith(f"kira: {name} works on the SQLite file, but KIRA_DATABASE is PostgreSQL")


def test_with_litestream_a_running_kira_leaves_the_journal(models: str, data: Path, tmp_path: Path) -> None:
    litestream = {"KIRA_CHECKPOINTS": "litestream", "KIRA_OLLAMA": models}
    with kira_up(data, 0, **litestream) as running:
        assert ask(data, running.address, "in the journal").code == 0
        assert kira(data, "backup", str(tmp_path / "b.sqlite"), **litestream).code == 0
        assert running.stop() == 0
    journal = data / "kira.sqlite-wal"
    size = journal.stat().st_size
    assert size > 0
    before = (data / "kira.sqlite").read_bytes()
    assert kira(data, "backup", str(tmp_path / "c.sqlite"), **litestream).code == 0
    done = _doctor(data, **litestream)
    assert _line(done, "journal").startswith("ok       journal: ")
    assert (journal.stat().st_size, (data / "kira.sqlite").read_bytes()) == (size, before)
    with journal.open("r+b") as file:
        file.truncate(300_000_000)  # as large, and without taking the room on the disk
    assert _line(_doctor(data, **litestream), "journal").startswith("warning  journal: 300.0 MB; Litestream writes")
    assert rows(data, "SELECT content FROM messages WHERE role = 'user'") == [("in the journal",)]


_LOGGED = "kira.backup: Backed up to "


def _logged(log: Path) -> int:
    return log.read_text().count(_LOGGED)


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
