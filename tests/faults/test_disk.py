"""A disk that is full, a folder that cannot be written, a port that is taken, settings that are wrong."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests import homes
from tests.api.caller import Caller
from tests.jobs.rig import Home, text_of
from tests.local.rig import kira

from kira.adapters.database.sqlite import SqliteConfig, SqliteDatabase, create_database
from kira.domain.errors import DiskFull, WrongSetting
from kira.testing.model_server import ModelServer
from kira.testing.serving import Plan, serve

SPARE_PAGES = 500
SIZES = (20_000, 1_000, 1)
"""Messages of so many words fill the disk, the last ones to the brim."""
NOBODY = 65_534


async def bounded(path: Path) -> int:
    """Make a database and return the pages of a disk that is nearly full with it."""
    await create_database(SqliteConfig(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return int(pages) + SPARE_PAGES


@asynccontextmanager
async def small_disk(path: Path) -> AsyncIterator[SqliteDatabase]:
    """Open a database on a disk with room for SPARE_PAGES more pages."""
    database = create_database(SqliteConfig(path, max_pages=await bounded(path)))
    try:
        yield database
    finally:
        await database.close()


async def fill_disk(home: Home, conversation: str) -> int:
    """Send messages, big ones first, until not even a word finds room; return how many were accepted."""
    accepted = 0
    for words in SIZES:
        try:
            for _ in range(25):
                await home.ask("wordy " * words, conversation=conversation)
                accepted += 1
        except DiskFull as full:
            assert "Free some room" in full.message
    return accepted


async def test_a_message_that_finds_no_room_is_refused_whole_and_with_room_all_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "kira.sqlite"
    async with small_disk(path) as database:
        home = Home(path, database)
        accepted = await fill_disk(home, await home.conversation("full"))
        counts = "SELECT (SELECT COUNT(*) FROM messages), (SELECT COUNT(*) FROM runs), COUNT(*) FROM messages_fts"
        assert accepted >= 3
        assert home.rows(counts) == [(accepted, accepted, accepted)]
        assert home.rows("PRAGMA integrity_check") == [("ok",)]
    database = create_database(SqliteConfig(path))
    home = Home(path, database, sessions=home.sessions)
    try:
        async with ModelServer(rate=500, first=0.005) as server, home.working(server.address):
            run = await home.ask("say:there is room")
            assert text_of(await home.told(run)) == "there is room"
        assert home.rows("SELECT COUNT(*) FROM messages WHERE role = 'user'") == [(accepted + 1,)]
    finally:
        await database.close()


async def test_an_answer_that_finds_no_room_is_kept_and_written_when_there_is_some(tmp_path: Path) -> None:
    path, question = tmp_path / "kira.sqlite", " ".join(f"longword{at}" for at in range(900))
    async with small_disk(path) as database:
        home = Home(path, database)
        async with (
            ModelServer(rate=20, first=0.005, tokens=900) as server,
            home.working(server.address, slots=1),
        ):
            await home.warm()
            run = await home.ask(question)
            await home.until_said(run, "delta")
            filler = await home.conversation("filler")
            await fill_disk(home, filler)
            server.behaviour.rate = 1_000_000
            await home.until_said(run, "reason", "disk is full")
            assert home.answers(run) == []
            await home.kira.conversations.remove(await home.visit(), filler)
            told = await home.told(run)
        assert told[-1][0] == "done"
        assert home.answers(run) == [text_of(told)] == [question]
        asked = [each["messages"][-1]["content"] for each in server.stats.asked if each["messages"]]
        assert asked.count(question) == 1


async def test_a_send_to_a_full_disk_is_a_507_and_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "kira.sqlite"
    bounded_file = homes.open_database(path, max_pages=await bounded(path))
    async with serve(bounded_file, Plan(works=False)) as served, aiohttp.ClientSession(served.address) as session:
        caller = await Caller(session).sign_up("aya")
        conversation = await caller.begin()
        accepted, where = 0, f"/api/conversations/{conversation}/messages"
        while (answer := await caller.post(where, {"content": "wordy " * 20_000})).status == 202:
            accepted += 1
        assert answer.error == (507, "DISK_FULL")
        assert accepted >= 1
        assert len(await caller.messages(conversation)) == accepted
        assert (await caller.get("/api/health")).status == 200


@contextmanager
def as_nobody() -> Iterator[None]:
    """Lay down the rights of root, who may write everywhere."""
    if os.getuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others can reach too."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


def test_a_folder_that_is_read_only_is_told_in_a_sentence(folder: Path) -> None:
    folder.chmod(0o555)
    with as_nobody(), pytest.raises(WrongSetting, match=r"KIRA_DATA .* cannot be written\. Give Kira the right"):
        create_database(SqliteConfig(folder / "kira.sqlite"))
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(folder: Path) -> None:
    folder.chmod(0o555)
    with as_nobody(), pytest.raises(WrongSetting, match=r"KIRA_DATA .* cannot be made: .*\. Name another folder"):
        create_database(SqliteConfig(folder / "data" / "kira.sqlite"))


def test_a_file_where_the_data_folder_should_be_is_told_in_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("a file")
    assert_told(kira(data, "up", "--port", "0"), "KIRA_DATA", str(data))


def test_a_port_that_is_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_told(kira(tmp_path / "data", "up", "--port", str(port)), f"KIRA_PORT {port}", "another port")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KIRA_PORT", "70000"),
        ("KIRA_ACCOUNTS", "perhaps"),
        ("KIRA_OLLAMA", "gopher://there"),
        ("KIRA_SLOTS", "none"),
        ("KIRA_LIMIT_API", "many"),
        ("KIRA_DATABASE", "paper"),
        ("KIRA_GRACE_S", "-1"),
        ("KIRA_HOST", "256.256.256.256"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(tmp_path: Path, name: str, value: str) -> None:
    assert_told(kira(tmp_path / "data", "up", **{"KIRA_PORT": "0", name: value}), name, value)


def assert_told(done: Any, *parts: str) -> None:
    """It ended with 2 and one line for people, which names what is wrong and shows no stack."""
    assert done.code == 2, done
    assert done.err.startswith("kira: ")
    assert done.err.count("\n") == 1
    assert done.err.rstrip().endswith(".")
    assert all(part in done.err for part in parts), done.err
