"""A replica that answers reads, where it shows all that their user wrote; otherwise the primary answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from kira.adapters.database.postgres.config import ReplicaConfig
from kira.adapters.database.postgres.looking import doubt
from kira.adapters.database.postgres.pool import Filled, Pool
from kira.adapters.database.postgres.ways import WROTE, PostgresStatements, count_of
from kira.domain.errors import KiraError, Unavailable
from kira.domain.limits import REPLICA_LOOK_SECONDS
from kira.ports.database import NoRow, Result

log = logging.getLogger("kira.database")

T = TypeVar("T")
MARK = {"name": "replica"}
PAUSE_SECONDS = 0.1

Found = tuple[int, list[Result]]
"""How often the user had written by what a replica shows, and what it says."""


class Replica:
    """One replica: looked at now and then, asked while it is fit, and passed over when it is not."""

    def __init__(self, config: ReplicaConfig, primary: PostgresStatements) -> None:
        """Read at the address of `config`; `primary` is the way across users of the database that it follows."""
        self.config = config
        self.pool = Pool(config)
        self._primary = primary
        self._is_fit = False
        self._is_told = False
        self._looked_at = float("-inf")
        self._asked: set[asyncio.Task[Found]] = set()
        self._looks: set[asyncio.Task[None]] = set()
        self._left: set[asyncio.Task[None]] = set()

    def check(self) -> None:
        """Say when the replica is away. Raises WrongSetting when it lets this role past row security, or is not ours.

        It is not asked before a look has shown that it follows.
        """
        why = doubt(self.config)
        if why is not None:
            self._pass_over(why)

    def is_fit(self) -> bool:
        """Say whether the replica may be asked; now and then this begins a look at it, which nobody waits for."""
        if time.monotonic() - self._looked_at >= REPLICA_LOOK_SECONDS:
            self._looked_at = time.monotonic()  # before the look begins, so that others do not begin one as well
            _begin(self.look(), self._looks)
        return self._is_fit

    async def look(self) -> None:
        """Find out whether the replica is there, follows this very database, and lags little enough."""
        self._looked_at = time.monotonic()
        with suppress(KiraError):  # of the primary: then there is nothing to compare with
            why = await self.doubt()
            if why is not None:
                self._pass_over(why)
            elif not self._is_fit:
                self._is_fit = True
                self._is_told = False
                log.info("the replica answers reads")

    async def doubt(self) -> str | None:
        """Return why the replica is not to be asked, if so."""
        if not self._is_fit:
            try:
                why = await asyncio.to_thread(doubt, self.config)
            except KiraError as error:
                why = error.message
            if why is not None:
                return why
        # Functions that tell the lag are not on every server, and say little on an idle one. What was just written
        # has to arrive: that shows as well that this is a replica of this database.
        wanted = int((await self._primary.query("marks.count", MARK))[0]["value"])
        try:
            async with asyncio.timeout(self.config.lag_s):
                while await self._shown() < wanted:  # noqa: ASYNC110 - a replica tells nobody when something arrives
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            return f"It lags more than {self.config.lag_s} s."
        except KiraError as error:
            return error.message
        return None

    def ask(self, user_id: str, reads: Sequence[Filled]) -> asyncio.Task[Found]:
        """Begin to ask; the count comes first, so that what is read after it is at least as new."""
        return _begin(self._ask(user_id, reads), self._asked)

    async def answer(self, asked: asyncio.Task[Found], wrote: int) -> list[Result] | None:
        """Return what the replica says, or None when it does not answer or lacks some of `wrote` writes."""
        await asyncio.wait({asked}, timeout=self.config.wait_s)
        if not asked.done():
            self._pass_over(f"It did not answer within {self.config.wait_s} s.")
            return None
        if asked.cancelled():  # somebody else found that it does not answer
            return None
        try:
            shown, results = asked.result()
        except Unavailable as error:
            self._pass_over(error.message)
            return None
        except (KiraError, NoRow):  # the primary says what is wrong with it
            return None
        return results if shown >= wrote else None

    async def close(self) -> None:
        """Stop looking, finish what runs and close."""
        self._looked_at = float("inf")
        for task in self._looks:
            task.cancel()
        self._leave()
        await asyncio.gather(*self._looks, *self._left, return_exceptions=True)
        await self.pool.close()

    async def _ask(self, user_id: str, reads: Sequence[Filled]) -> Found:
        way = PostgresStatements(self.pool, self._primary.catalogue, user_id)
        wrote, *results = await way.run_filled([way.fill(WROTE.name, WROTE.params), *reads])
        return count_of(wrote), results

    async def _shown(self) -> int:
        way = PostgresStatements(self.pool, self._primary.catalogue, None)
        rows = await way.query("marks.read", MARK)
        return int(rows[0]["value"]) if rows else 0

    def _pass_over(self, why: str) -> None:
        self._leave()
        # Left to itself, the pool would try and try again, and keep connections that broke, or that were opened before
        # the replica knew where this role looks for its tables.
        left, self.pool = self.pool, Pool(self.config)
        self.pool.executed = left.executed
        _begin(left.close(), self._left)
        if not self._is_told:
            self._is_told = True
            log.warning("KIRA_DATABASE_READ is not used for now, KIRA_DATABASE answers: %s", why)

    def _leave(self) -> None:
        """Ask no more; what was asked is not waited for, since one that hangs is slow even to let go."""
        self._is_fit = False
        for task in self._asked:
            task.cancel()


def _begin(work: Coroutine[Any, Any, T], kept: set[asyncio.Task[T]]) -> asyncio.Task[T]:
    """Begin `work` and keep it among `kept` until it ends."""

    def end(task: asyncio.Task[T]) -> None:
        kept.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits raises it; of a refused request nobody does

    task = asyncio.create_task(work)
    kept.add(task)
    task.add_done_callback(end)
    return task
