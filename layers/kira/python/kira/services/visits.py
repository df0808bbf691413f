"""A visit is one request of one signed-in user: the only way services reach that user's rows."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kira.domain.errors import RateLimited, Unauthenticated
from kira.domain.limits import Limit
from kira.ports.clock import Clock
from kira.ports.database import Call, Database, NoRow, Params, Result, Row, Statements, Transaction

GUARDS = frozenset({"guard.session", "guard.api"})

Work = Callable[[list[Call]], Awaitable[list[Result]]]
"""Calls that run behind those it is given, in the same round trip."""


def sentence(limit: Limit, wait_s: float) -> str:
    """Say in words which limit was reached and how long to wait (`wait_s` in seconds)."""
    minutes, seconds = divmod(math.ceil(wait_s), 60)
    wait = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"You have reached the limit of {limit.count} for {limit.name}. Try again in {wait}."


@dataclass(slots=True)
class Visit:
    """Who asks (`user_id`, `session_id`, `role`) and the guard that stands before their first statement.

    The guard shows that the session is alive and, where the `api` limit is on, takes one from it. It rides
    in the same round trip as the request's own statements, so a refused request does nothing at all.
    """

    user_id: str
    session_id: str
    role: str
    database: Database
    clock: Clock
    api: Limit | None
    arrival: int | None = None
    _guarded: bool = field(default=False, init=False)

    @property
    def rows(self) -> Statements:
        """The user's rows, without a guard; for work that follows a guarded statement."""
        return self.database.of(self.user_id)

    @property
    def is_admin(self) -> bool:
        """Say whether this user runs the place."""
        return self.role == "admin"

    def limit_call(self, limit: Limit) -> Call:
        """Return the statement that takes one from `limit`; use it with `run`, which tells the true wait."""
        return Call(
            "guard.limit",
            {"name": limit.name, "now": self.clock.now(), "interval": limit.interval, "tolerance": limit.tolerance},
            must=True,
        )

    async def run(
        self, calls: Sequence[Call], *, limit: Limit | None = None, first: Sequence[Call] = ()
    ) -> list[Result]:
        """Run `calls` behind the guard (and behind `limit`, where given) in one round trip.

        Where one of `first` must give a row and gives none, nothing is taken from `limit`. Returns the results of
        `calls` alone. Raises Unauthenticated when the session has ended, RateLimited with the true wait, and NoRow for
        a `must` call of the caller's own.
        """
        return await self._behind(lambda front: self.rows.run([*front, *calls]), limit, first)

    async def look(self, name: str, params: Params | None = None) -> list[Row]:
        """As `query`, for a read that a replica may answer: it shows what this user wrote, wherever they wrote it."""
        calls = [Call(name, params or {})]
        return (await self._behind(lambda front: self.rows.look(front, calls), None))[0].rows

    async def _behind(self, work: Work, limit: Limit | None, first: Sequence[Call] = ()) -> list[Result]:
        """Run `work` behind the guard, `first` and `limit`, and return the results of its own calls."""
        front = [*([] if self._guarded else [self._guard()]), *first]
        if limit is not None:
            front.append(self.limit_call(limit))
        try:
            results = await work(front)
        except NoRow as refused:
            await self._explain(refused, limit)
            raise
        if not self._guarded:
            self._guarded = True
            if self.api is not None:
                self.arrival = int(results[0].rows[0]["arrival"])
        return results[len(front) :]

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one statement behind the guard and return its rows."""
        return (await self.run([Call(name, params or {})]))[0].rows

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run one statement behind the guard and return how many rows it changed."""
        return (await self.run([Call(name, params or {})]))[0].changes

    async def check(self) -> None:
        """Run the guard alone, where the request needs no statement of its own."""
        if not self._guarded:
            await self.run([])

    async def is_alive(self, *calls: Call) -> bool:
        """Say whether the session still lives; for streams, which outlast their guard.

        `calls` run behind that in the same round trip; one of them that must give a row and gives none says no as well.
        """
        guard = Call("guard.session", {"session_id": self.session_id, "now": self.clock.now()}, must=True)
        try:
            await self.rows.run([guard, *calls])
        except NoRow:
            return False
        return True

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction behind the guard, for work that reads, decides and writes."""
        await self.check()
        async with self.rows.transaction() as transaction:
            yield transaction

    def _guard(self) -> Call:
        now = self.clock.now()
        if self.api is None:
            return Call("guard.session", {"session_id": self.session_id, "now": now}, must=True)
        return Call(
            "guard.api",
            {
                "session_id": self.session_id,
                "now": now,
                "interval": self.api.interval,
                "tolerance": self.api.tolerance,
            },
            must=True,
        )

    async def _explain(self, refused: NoRow, limit: Limit | None) -> None:
        if refused.name in GUARDS:
            now = self.clock.now()
            if not await self.rows.query("guard.session", {"session_id": self.session_id, "now": now}):
                raise Unauthenticated("This session has ended. Sign in again.") from refused
            await self._refuse(self.api, refused)
        if refused.name == "guard.limit":
            await self._refuse(limit, refused)

    async def _refuse(self, limit: Limit | None, refused: NoRow) -> None:
        if limit is None:
            return
        rows = await self.rows.query("guard.arrival", {"name": limit.name})
        wait = limit.wait_s(int(rows[0]["arrival"]) if rows else 0, self.clock.now())
        raise RateLimited(sentence(limit, wait), retry_after_s=max(1, math.ceil(wait)), limit=limit.name) from refused
