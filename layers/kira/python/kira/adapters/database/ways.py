"""The ways into the database: the statements that one may run, and the user that it sets itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

from kira.adapters.database.catalogue import Catalogue
from kira.adapters.database.holds import Hold
from kira.adapters.database.session import Filled
from kira.domain.errors import Invalid
from kira.ports.database import Call, Params, Result, Row, Transaction

T = TypeVar("T")
_NOTHING: Params = {}


class Desk(Protocol):
    """What takes work for the lanes."""

    @property
    def catalogue(self) -> Catalogue: ...

    def submit(self, filled: Sequence[Filled]) -> Awaitable[list[Result]]:
        """Run `filled` together."""

    def hold(self) -> Hold:
        """Ask for the writing lane."""


class SqliteStatements:
    """One way in: one user's when `user_id` is given, otherwise the narrow one across users."""

    __slots__ = ("_desk", "_user_id")

    def __init__(self, desk: Desk, user_id: str | None) -> None:
        """Run statements of `desk`, for `user_id`."""
        self._desk = desk
        self._user_id = user_id

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self._desk.submit([self.fill(name, params or _NOTHING)]))[0].rows

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run one statement and return how many rows it changed."""
        return (await self._desk.submit([self.fill(name, params or _NOTHING)]))[0].changes

    async def run(self, calls: Sequence[Call]) -> list[Result]:
        """Run `calls` together, in the reading lanes when none of them writes."""
        if not calls:
            return []
        return await self._desk.submit([self.fill(call.name, call.params, must=call.must) for call in calls])

    async def look(self, front: Sequence[Call], calls: Sequence[Call]) -> list[Result]:
        """Run `front` and `calls` together: one file has no replica."""
        self._desk.catalogue.refuse_writes(call.name for call in calls)
        return await self.run([*front, *calls])

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction that holds the writing lane for at most TRANSACTION_SECONDS_MAX."""
        return self._transaction()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction and return what it returns."""
        async with self._transaction() as transaction:
            return await work(transaction)

    def fill(self, name: str, params: Params, *, must: bool = False) -> Filled:
        """Return a statement of this way with its parameters, checked.

        Raises UnprovenStatement for any other statement, Invalid for text that not every database can store.
        """
        statement, given = self._desk.catalogue.chosen(name, params, self._user_id)
        for value in params.values():
            if isinstance(value, str) and "\x00" in value:
                raise Invalid("A text contains a NUL character, which cannot be stored.")
        return statement, given, must

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        hold = self._desk.hold()
        await hold.open()
        try:
            yield SqliteTransaction(self, hold)
        except BaseException:
            hold.leave()
            raise
        await hold.keep()


class SqliteTransaction:
    """The statements of an open transaction, one hop each."""

    __slots__ = ("_hold", "_way")

    def __init__(self, way: SqliteStatements, hold: Hold) -> None:
        """Run statements of `way` inside `hold`."""
        self._way = way
        self._hold = hold

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self._run(name, params)).rows

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run one statement and return how many rows it changed."""
        return (await self._run(name, params)).changes

    async def _run(self, name: str, params: Params | None) -> Result:
        return (await self._hold.run([self._way.fill(name, params or _NOTHING)]))[0]
