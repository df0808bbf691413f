"""The lanes: what shares a commit, what is dropped, what is undone, and what a full disk or a kill leaves."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.adapters.database.catalogues import write

from kira.adapters.database.backup import check
from kira.adapters.database.catalogue import load
from kira.adapters.database.sqlite import SqliteConfig, SqliteDatabase, create_database
from kira.domain.errors import Conflict, DiskFull, KiraError, Unavailable
from kira.domain.limits import COMMITS_TOGETHER_MAX, DATABASE_WAITING_MAX
from kira.ports.database import Call, NoRow, Transaction

USER = "018f0000-0000-7000-8000-00000000000a"
Opener = Callable[..., SqliteDatabase]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kira.sqlite"


@pytest.fixture
async def opener(path: Path) -> AsyncIterator[Opener]:
    opened: list[SqliteDatabase] = []

    def make(**settings: float) -> SqliteDatabase:
        opened.append(create_database(SqliteConfig(path, **settings)))  # type: ignore[arg-type]  # floats and ints
        return opened[-1]

    yield make
    for database in opened:
        await database.close()


@pytest.fixture
async def database(opener: Opener) -> SqliteDatabase:
    made = opener()
    await settle(made)
    return made


async def settle(database: SqliteDatabase) -> None:
    given = {"id": USER, "email": "a@example.org", "name": "A", "role": "user", "now": 1, "password_hash": None}
    await database.system.execute("accounts.add", given)
    await database.of(USER).execute("conversations.add", conversation("c"))


def conversation(name: str, title: str = "t") -> dict[str, object]:
    return {"conversation_id": name, "title": title, "titled_by": "nobody", "now": 1}


def renaming(title: str) -> dict[str, object]:
    return {"conversation_id": "c", "title": title, "now": 2}


def message(name: str, size: int) -> Call:
    given = {"message_id": name, "conversation_id": "c", "content": "x" * size, "search_text": "x", "now": 1}
    return Call("messages.ask", {**given, "run_id": None, "idempotency_key": None})


@contextmanager
def another_writer(path: Path) -> Iterator[None]:
    """Hold the file as another process would, so that the writing lane waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def commits(path: Path) -> int:
    """Count the commits in the write-ahead log (sqlite.org/fileformat2.html#walformat)."""
    log = path.with_name(path.name + "-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    frames = range(32, len(log), 24 + page)
    return sum(log[at + 8 : at + 16] == log[16:24] and log[at + 4 : at + 8] != bytes(4) for at in frames)


async def added(database: SqliteDatabase) -> set[str]:
    rows = await database.of(USER).query("conversations.page", {"items": 10_000})
    return {row["id"] for row in rows} - {"c"}


def adding(database: SqliteDatabase, *names: str) -> list[asyncio.Future[int]]:
    rows = database.of(USER)
    return [asyncio.ensure_future(rows.execute("conversations.add", conversation(name))) for name in names]


# Sharing a commit


async def test_what_waits_together_shares_a_commit(database: SqliteDatabase, path: Path) -> None:
    before = commits(path)
    with another_writer(path):
        waiting = adding(database, *map(str, range(40)))
        await asyncio.sleep(0.05)
    assert await asyncio.gather(*waiting) == [1] * 40
    assert commits(path) - before <= 2


async def test_a_commit_is_shared_by_so_many_and_no_more(database: SqliteDatabase, path: Path) -> None:
    before = commits(path)
    with another_writer(path):
        waiting = adding(database, *map(str, range(COMMITS_TOGETHER_MAX * 3)))
        await asyncio.sleep(0.05)
    await asyncio.gather(*waiting)
    assert 3 <= commits(path) - before <= 4


async def test_nobody_is_answered_before_the_commit(database: SqliteDatabase, path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:

        async def add(name: str) -> bool:
            await database.of(USER).execute("conversations.add", conversation(name))
            return bool(other.execute("SELECT 1 FROM conversations WHERE id = ?", (name,)).fetchone())

        assert all(await asyncio.gather(*(add(str(number)) for number in range(100))))


async def test_what_fails_in_a_shared_commit_fails_alone(database: SqliteDatabase, path: Path) -> None:
    rows = database.of(USER)
    unknown = Call("conversations.rename", {"conversation_id": "?", "title": "", "now": 1}, must=True)
    again = Call("conversations.add", conversation("c"))
    with another_writer(path):
        tries = [
            asyncio.ensure_future(rows.run([Call("conversations.add", conversation(name)), *then]))
            for name, then in (("a", []), ("b", [again]), ("d", [unknown]), ("e", []))
        ]
        await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [list, Conflict, NoRow, list]
    assert await added(database) == {"a", "e"}


# Callers that go away


async def test_work_that_nobody_waits_for_is_dropped_before_it_starts(database: SqliteDatabase, path: Path) -> None:
    with another_writer(path):
        waiting = adding(database, "first", "gone", "kept")
        await asyncio.sleep(0.05)  # the lane has taken what came first and waits for the file
        more = adding(database, "gone too", "kept too")
        await asyncio.sleep(0)
        assert more[0].cancel()
    await asyncio.gather(*waiting, more[1])
    assert await added(database) == {"first", "gone", "kept", "kept too"}


async def test_work_that_has_begun_ends_when_its_caller_goes(database: SqliteDatabase, path: Path) -> None:
    with another_writer(path):
        (begun,) = adding(database, "begun")
        await asyncio.sleep(0.05)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
    await asyncio.gather(*adding(database, "next"))
    assert await added(database) == {"begun", "next"}


async def test_a_thousand_callers_that_come_and_go_break_nothing(database: SqliteDatabase) -> None:
    waiting = adding(database, *map(str, range(1_000)))
    await asyncio.sleep(0)
    for future in waiting[::3]:
        future.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    acknowledged = {str(number) for number, outcome in enumerate(outcomes) if outcome == 1}
    assert len(acknowledged) >= 666
    assert acknowledged <= await added(database)


# Transactions that hold the lane


async def test_a_holder_that_is_stuck_loses_the_lane(opener: Opener) -> None:
    database = opener(hold_s=0.1)
    await settle(database)
    other: list[asyncio.Future[int]] = []

    async def be_stuck(transaction: Transaction) -> None:
        await transaction.execute("conversations.add", conversation("lost"))
        other.extend(adding(database, "other"))
        await other[0]  # what the lane does only when it has been taken away
        with pytest.raises(Unavailable, match="too long"):
            await transaction.execute("conversations.add", conversation("late"))

    with pytest.raises(Unavailable, match="too long"):
        await database.of(USER).transact(be_stuck)
    assert await added(database) == {"other"}


async def test_a_holder_that_is_cancelled_leaves_nothing(database: SqliteDatabase, path: Path) -> None:
    begun = asyncio.Event()

    async def hold() -> None:
        async with database.of(USER).transaction() as transaction:
            await transaction.execute("conversations.add", conversation("lost"))
            begun.set()
            await asyncio.Event().wait()

    holder = asyncio.ensure_future(hold())
    await begun.wait()
    holder.cancel()
    await asyncio.gather(*adding(database, "next"))
    assert await added(database) == {"next"}
    with another_writer(path):
        waiting = asyncio.ensure_future(hold())
        await asyncio.sleep(0.05)
        waiting.cancel()
    await asyncio.gather(*adding(database, "after"))
    assert await added(database) == {"next", "after"}


async def test_holders_and_others_take_turns(database: SqliteDatabase) -> None:
    async def hold(name: str) -> None:
        async with database.of(USER).transaction() as transaction:
            await transaction.execute("conversations.add", conversation(name))
            await transaction.execute("conversations.add", conversation(name + "+"))

    await asyncio.gather(*(hold(f"h{number}") for number in range(20)), *adding(database, *map(str, range(100))))
    assert len(await added(database)) == 140


# What the world does


async def test_another_process_that_keeps_the_file_is_waited_for_only_so_long(opener: Opener, path: Path) -> None:
    database = opener(busy_s=0.05)
    await settle(database)
    with another_writer(path):
        outcomes = await asyncio.gather(*adding(database, "a", "b"), return_exceptions=True)
        with pytest.raises(Unavailable) as refused:
            async with database.of(USER).transaction():
                raise AssertionError("it was not to be opened")
        assert await added(database) == set(), "readers do not wait"
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert refused.value.retry_after_s == 1
    assert await asyncio.gather(*adding(database, "a")) == [1]


async def test_more_work_than_there_is_room_for_is_refused(database: SqliteDatabase) -> None:
    async with database.of(USER).transaction():
        waiting = adding(database, *map(str, range(DATABASE_WAITING_MAX + 1)))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too much"):
            await waiting[-1]
        for future in waiting:
            future.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await asyncio.gather(*adding(database, "next")) == [1]


async def test_a_full_disk_loses_nothing_that_was_answered(opener: Opener, path: Path) -> None:
    database = opener(max_pages=120)
    await settle(database)
    rows = database.of(USER)
    outcomes = await asyncio.gather(
        *(rows.run([message(str(number), 8_000)]) for number in range(200)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert refused
    assert {type(error) for error in refused} == {DiskFull}
    given = {"conversation_id": "c", "before": "~", "items": 1_000}
    kept = {row["id"] for row in await rows.query("messages.page", given)}
    assert kept == {str(number) for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)}
    assert kept
    assert await rows.execute("conversations.rename", renaming("small")) == 1
    await database.close()
    assert check(path).damage is None


async def test_a_transaction_that_the_full_disk_ended_runs_nothing_more(opener: Opener) -> None:
    database = opener(max_pages=120)
    await settle(database)
    rows = database.of(USER)

    async def work(transaction: Transaction) -> None:
        await transaction.execute("conversations.add", conversation("lost"))
        with pytest.raises(DiskFull):
            await transaction.execute("conversations.rename", renaming("x" * 900_000))
        with pytest.raises(DiskFull):  # otherwise it would count although the transaction is gone
            await transaction.execute("conversations.rename", renaming("kept"))

    with pytest.raises(DiskFull):
        await rows.transact(work)
    assert await added(database) == set()
    (found,) = await rows.query("conversations.one", {"conversation_id": "c"})
    assert found["title"] == "t"


WRITER = """
import asyncio, sys
from pathlib import Path
from kira.adapters.database.catalogue import load
from kira.adapters.database.sqlite import SqliteConfig, create_database

async def write(database, start):
    rows = database.of("018f0000-0000-7000-8000-00000000000a")
    for number in range(10_000):
        name = f"{start}-{number}"
        given = {"conversation_id": name, "title": "t", "titled_by": "nobody", "now": 1}
        await rows.execute("conversations.add", given)
        sys.stdout.write(name + "\\n")
        sys.stdout.flush()

async def main():
    database = create_database(SqliteConfig(Path(sys.argv[1])))
    await asyncio.gather(*(write(database, start) for start in range(8)))

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_that_was_answered(opener: Opener, path: Path) -> None:
    first = opener()
    await settle(first)
    await first.close()
    acknowledged: set[str] = set()
    for answers in (1, 50, 400):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline().strip() for _ in range(answers)]
            process.send_signal(signal.SIGKILL)
            told += [line.strip() for line in process.stdout if line.endswith("\n")]
        acknowledged |= set(told)
        database = opener()
        assert acknowledged <= await added(database)
        assert len(told) >= answers
        rows = database.of(USER)
        for name in await added(database):  # the next writer begins with the same names
            await rows.execute("conversations.remove", {"conversation_id": name})
        acknowledged = set()
        await database.close()
        assert check(path).damage is None


@pytest.mark.parametrize("readers", [1, 2, 5])
async def test_closing_ends_every_lane_and_folds_the_journal(opener: Opener, path: Path, readers: int) -> None:
    database = opener(readers=readers)
    await settle(database)
    await database.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    with pytest.raises(KiraError):
        await added(database)


async def test_statements_that_begin_with_with_count_their_changes(opener: Opener, path: Path, tmp_path: Path) -> None:
    sql = (
        "WITH n AS (SELECT id FROM conversations WHERE user_id = :user_id) "
        "UPDATE conversations SET title = 'x' WHERE user_id = :user_id AND id IN (SELECT id FROM n)"
    )
    await settle(opener())
    database = create_database(SqliteConfig(path), load("sqlite", write(tmp_path / "with", {"rename": sql})))
    assert await database.of(USER).execute("test.rename") == 1
    await database.close()
