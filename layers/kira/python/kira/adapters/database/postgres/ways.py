"""The ways into the database: the statements that one may run, and the identity that the server checks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from kira.adapters.database.catalogue import Catalogue
from kira.adapters.database.postgres.pool import Filled, Pool, run_all, run_one
from kira.adapters.database.postgres.texts import items_of, prepared, values
from kira.ports.database import Call, Params, Result, Row, Transaction

if TYPE_CHECKING:
    from kira.adapters.database.postgres.replica import Replica

T = TypeVar("T")
_NOTHING: Params = {}
SHOWN = frozenset({"conversations", "messages", "runs"})
"""The tables that a replica may be asked about: what is written into them is counted."""
WROTE = Call("guard.arrival", {"name": "wrote"})
"""How often the user wrote, by the count of `guard.wrote`."""


@dataclass(frozen=True, slots=True)
class PostgresStatements:
    """One way in: one user's when `user_id` is given, otherwise the narrow one across users."""

    pool: Pool
    catalogue: Catalogue
    user_id: str | None
    replica: Replica | None = None

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self.run_filled([self.fill(name, params or _NOTHING)]))[0].rows

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run one statement and return how many rows it changed."""
        return (await self.run_filled([self.fill(name, params or _NOTHING)]))[0].changes

    async def run(self, calls: Sequence[Call]) -> list[Result]:
        """Run `calls` together in one round trip: an implicit transaction up to the end of the pipeline."""
        if not calls:
            return []
        return await self.run_filled([self.fill(call.name, call.params, must=call.must) for call in calls])

    async def look(self, front: Sequence[Call], calls: Sequence[Call]) -> list[Result]:
        """Run `front` here and `calls` on the replica, at the same time; `calls` here where it cannot be trusted."""
        self.catalogue.refuse_writes(call.name for call in calls)
        if self.user_id is None or self.replica is None or not self.replica.is_fit():
            return await self.run([*front, *calls])
        reads = [self.fill(call.name, call.params, must=call.must) for call in calls]
        asked = self.replica.ask(self.user_id, reads)
        try:
            *results, wrote = await self.run([*front, WROTE])
        except BaseException:
            asked.cancel()
            raise
        found = await self.replica.answer(asked, count_of(wrote))
        return [*results, *(await self.run_filled(reads) if found is None else found)]

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction; others of the same user (or of no user) that write wait for its end."""
        return self._transaction()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction and return what it returns."""
        async with self._transaction() as transaction:
            return await work(transaction)

    def fill(self, name: str, params: Params, *, must: bool = False) -> Filled:
        """Return a statement of this way with its values, checked.

        Raises UnprovenStatement for any other statement, Invalid for values that not every database can store.
        """
        statement, given = self.catalogue.chosen(name, params, self.user_id)
        text = prepared(statement, must=must, items=items_of(given))
        return Filled(statement, text, values(text.names, given, name))

    def count(self, filled: Sequence[Filled]) -> list[Filled]:
        """Return the one that counts a write of this user, where there is a replica and `filled` are of its concern."""
        shown = self.replica is not None and any(one.statement.target in SHOWN for one in filled)
        return [self.fill("guard.wrote", _NOTHING)] if shown else []

    def _begin(self, *, writes: bool) -> tuple[bytes, list[object]]:
        if self.user_id is None:
            return b"SELECT begin_across($1::boolean)", [writes]
        return b"SELECT begin_as($1::text, $2::boolean)", [self.user_id, writes]

    async def run_filled(self, filled: Sequence[Filled]) -> list[Result]:
        """Run `filled` together in one round trip."""
        # Statements across users are exact by the locks of their rows; only what decides in between goes alone.
        writes = self.user_id is not None and any(one.statement.writes for one in filled)
        all_filled = [*filled, *self.count(filled)]
        self.pool.executed += len(all_filled)
        async with self.pool.connection() as connection:
            results = await run_all(connection, self._begin(writes=writes), all_filled)
        return results[: len(filled)]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        async with self.pool.transaction(self._begin(writes=True)) as connection:
            yield PostgresTransaction(self, lambda one: run_one(connection, one))


@dataclass(frozen=True, slots=True)
class PostgresTransaction:
    """The statements of an open transaction, one round trip each."""

    way: PostgresStatements
    run: Callable[[Filled], Awaitable[Result]]

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return its rows."""
        return (await self._run(name, params)).rows

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run one statement and return how many rows it changed."""
        return (await self._run(name, params)).changes

    async def _run(self, name: str, params: Params | None) -> Result:
        one = self.way.fill(name, params or _NOTHING)
        filled = [one, *self.way.count([one])]
        self.way.pool.executed += len(filled)
        result, *_ = [await self.run(each) for each in filled]
        return result


def count_of(wrote: Result) -> int:
    """Return the count in what WROTE gave; who never wrote has none."""
    return int(wrote.rows[0]["arrival"]) if wrote.rows else 0
