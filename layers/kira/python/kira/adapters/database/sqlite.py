"""The database as one SQLite file: the standard library, one writing lane, a few reading ones."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kira.adapters.database import fts5, lanes, places, schema
from kira.adapters.database.authorizer import Authorizer, followers_of
from kira.adapters.database.catalogue import Catalogue, Statement, load
from kira.domain.errors import Invalid, UnprovenStatement
from kira.domain.search import Query
from kira.ports.database import Call, NoRow, Params, Result, Row, Statements, Transaction

T = TypeVar("T")

BUSY_MILLISECONDS = 5_000
STATEMENTS_KEPT = 512
CACHE_KIB = 4_096


@dataclass(frozen=True, slots=True)
class SqliteConfig:
    """Where the file lies and how many lanes read it; `max_pages` bounds the file (for tests of a full disk)."""

    path: Path
    readers: int = 2
    max_pages: int | None = None


def create_database(config: SqliteConfig, catalogue: Catalogue | None = None) -> SqliteDatabase:
    """Open the file of `config`, bring its schema up to date, and return the database.

    Raises WrongSetting when the folder cannot hold a database, or the file belongs to a newer Kira.
    """
    places.check(config.path.parent)
    schema.bring_up_to_date(config.path)
    return SqliteDatabase(config, catalogue or load("sqlite"))


class SqliteDatabase:
    """Keeps the Database promise with lanes of threads."""

    def __init__(self, config: SqliteConfig, catalogue: Catalogue) -> None:
        """Start the lanes on a file whose schema is up to date."""
        self._config = config
        self._authorizers: dict[int, Authorizer] = {}
        self.executed = 0
        self.catalogue = catalogue
        self.writer = lanes.Lane("kira-write", lambda: self._connect(reads_only=False), writes=True)
        shared: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.readers = [
            lanes.Lane(f"kira-read-{number}", lambda: self._connect(reads_only=True), writes=False, jobs=shared)
            for number in range(config.readers)
        ]
        self._system = SqliteStatements(self, catalogue.system, None)

    def of(self, user_id: str) -> Statements:
        """Return the way in that sees only `user_id`."""
        return SqliteStatements(self, self.catalogue.tenant, user_id)

    @property
    def system(self) -> Statements:
        """The way in across users."""
        return self._system

    def match(self, query: Query, user_id: str) -> str:
        """Return the FTS5 text of `query`."""
        return fts5.match(query, user_id)

    async def close(self) -> None:
        """Finish what runs and close."""
        for lane in (*self.readers, self.writer):
            await asyncio.to_thread(lane.join)

    def perform(self, connection: sqlite3.Connection, statement: Statement, params: Mapping[str, Any]) -> Result:
        """Run one statement on a lane's connection."""
        self.executed += 1
        self._authorizers[id(connection)].expect(statement.tables, writes=statement.writes)
        cursor = connection.execute(statement.sql, params)
        if cursor.description is None:
            return Result([], max(0, cursor.rowcount))
        names = [column[0] for column in cursor.description]
        rows: list[Row] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return Result(rows, len(rows) if statement.writes else 0)

    def _connect(self, *, reads_only: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._config.path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_KEPT
        )
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if reads_only:
            connection.execute("PRAGMA query_only = ON")
        elif self._config.max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {self._config.max_pages}")
        # FTS5 makes itself known to a connection by statements of its own, before the authorizer is there.
        connection.execute("SELECT rowid FROM messages_fts LIMIT 0")
        authorizer = Authorizer(followers_of(connection))
        connection.set_authorizer(authorizer)
        self._authorizers[id(connection)] = authorizer
        return connection


class SqliteStatements:
    """One way in: the statements that it may run, and the user that it sets itself."""

    def __init__(self, database: SqliteDatabase, statements: Mapping[str, Statement], user_id: str | None) -> None:
        """Run `statements` on `database` for `user_id` (None: across users)."""
        self._database = database
        self._statements = statements
        self._user_id = user_id

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self.run([Call(name, params or {})]))[0].rows

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run one statement and return how many rows it changed."""
        return (await self.run([Call(name, params or {})]))[0].changes

    async def run(self, calls: Sequence[Call]) -> list[Result]:
        """Run `calls` together, in the reading lanes when none of them writes."""
        prepared = [(self.statement(call.name), self.bound(call.params), call) for call in calls]
        if not prepared:
            return []
        writes = any(statement.writes for statement, _, _ in prepared)
        perform = self._database.perform

        def work(connection: sqlite3.Connection) -> list[Result]:
            results = []
            for statement, params, call in prepared:
                result = perform(connection, statement, params)
                if call.must and not result.rows and not result.changes:
                    raise NoRow(call.name)
                results.append(result)
            return results

        item = lanes.job(work if writes or len(prepared) == 1 else _one_snapshot(work))
        (self._database.writer if writes else self._database.readers[0]).put(item)
        found: list[Result] = await item.future
        return found

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Transaction]:
        loop = asyncio.get_running_loop()
        hold = lanes.Hold(queue.SimpleQueue(), loop.create_future(), loop, loop.create_future())
        self._database.writer.put(hold)
        kept = False
        try:
            await hold.opened
            yield SqliteTransaction(self, self._database, hold)
            kept = True
        finally:
            hold.jobs.put(kept)
            if hold.opened.done() and not hold.opened.cancelled() and hold.opened.exception() is None:
                await asyncio.shield(hold.ended)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction that holds the writing lane; at most lanes.HOLD_SECONDS_MAX."""
        return self._open()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction."""
        async with self.transaction() as transaction:
            return await work(transaction)

    def statement(self, name: str) -> Statement:
        """Return the statement `name` of this way in; raises UnprovenStatement for any other."""
        found = self._statements.get(name)
        if found is None:
            raise UnprovenStatement(f"There is no statement {name} here.")
        return found

    def bound(self, params: Params) -> dict[str, Any]:
        """Return `params` with the user's own id; raises Invalid for text that cannot be stored everywhere."""
        bound = dict(params)
        for value in bound.values():
            if isinstance(value, str) and "\x00" in value:
                raise Invalid("A text contains a NUL character, which cannot be stored.")
        if self._user_id is not None:
            bound["user_id"] = self._user_id
        return bound


class SqliteTransaction:
    """The statements of an open transaction, one hop each."""

    def __init__(self, way: SqliteStatements, database: SqliteDatabase, hold: lanes.Hold) -> None:
        """Run statements of `way` inside `hold`."""
        self._way = way
        self._database = database
        self._hold = hold

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self._run(name, params or {})).rows

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run one statement and return how many rows it changed."""
        return (await self._run(name, params or {})).changes

    async def _run(self, name: str, params: Params) -> Result:
        statement, bound = self._way.statement(name), self._way.bound(params)
        item = lanes.job(lambda connection: self._database.perform(connection, statement, bound))
        self._hold.jobs.put(item)
        await asyncio.wait((item.future, self._hold.ended), return_when=asyncio.FIRST_COMPLETED)
        if not item.future.done():
            await self._hold.ended  # raises: the transaction was open for too long
        found: Result = await item.future
        return found


def _one_snapshot(work: lanes.Work) -> lanes.Work:
    def reading(connection: sqlite3.Connection) -> Any:
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("COMMIT")

    return reading
