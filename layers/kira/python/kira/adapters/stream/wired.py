"""The stream between processes: memory for the readers here, and a wire to where others work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

from kira.adapters.stream.bell import Bell
from kira.adapters.stream.process import ProcessStream
from kira.adapters.stream.wire import Spoken, Wire
from kira.domain.errors import KiraError
from kira.domain.events import Event
from kira.domain.limits import DELTA_MILLISECONDS, STREAM_KEPT_SECONDS, STREAM_PING_SECONDS
from kira.ports.stream import Said, Source

log = logging.getLogger("kira.stream")

READ_SECONDS = 0.1
"""How often the wire is read while somebody here follows what may be worked on elsewhere."""
IDLE_SECONDS = 1.0
"""How often at most where that is an exception, and after an error."""
TRIM_SECONDS = 60
CLOSE_SECONDS = 5
OUTGOING_MAX = 20_000
"""How much waits for a wire that cannot be written; beyond that it is dropped, and readers look to the table."""


class WiredStream:
    """Keeps the Stream promise across processes: numbers are given where a run speaks, and are the same everywhere.

    Readers read memory only. What others published is put into it by a task that runs only while somebody follows
    a run on which nobody here works.
    """

    def __init__(
        self, wire: Wire, *, publishes: bool = True, trims: bool = True, silence_s: float = STREAM_PING_SECONDS
    ) -> None:
        """Speak and listen on `wire`; only listen unless `publishes`, for a process that works on its own runs.

        A process that may be frozen at any moment does not trim; others do.
        """
        self._wire = wire
        self._publishes = publishes
        self._trims = trims
        self._publishing = asyncio.Lock()
        self._memory = ProcessStream(silence_s, apart=publishes)
        self._readers: Counter[tuple[str, str | None]] = Counter()
        self._outgoing: list[Spoken] = []
        self._asked = Bell()
        self._used = 0.0
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def append(
        self, source: Source, attempt: int, said: Sequence[tuple[str, dict[str, Any]]], *, works: bool = False
    ) -> None:
        """Add what a run said, here at once and on the wire a moment later."""
        events = self._memory.add(source, attempt, said, works=works)
        if events and self._publishes:
            self._outgoing.append(Spoken(source, events))
            self._go("publish", self._publish)
        if self._readers and not works:
            self._go("read", self._read)

    async def knows(self, user_id: str, run_id: str) -> bool:
        """Say whether events of this run are kept here or on the wire."""
        if not await self._memory.knows(user_id, run_id):
            await self._pull([user_id])
        return await self._memory.knows(user_id, run_id)

    async def follow(self, user_id: str, run_id: str, after: int) -> AsyncGenerator[list[Event], None]:
        """Yield batches of one run's events above `after`; ends with the run."""
        with self._reading(user_id, run_id):
            async with aclosing(self._memory.follow(user_id, run_id, after)) as batches:
                async for batch in batches:
                    if not batch:
                        self._memory.leave(user_id, run_id)
                        self._go("read", self._read)
                    yield batch

    async def follow_user(self, user_id: str, after: int | None) -> AsyncGenerator[list[Said], None]:
        """Yield batches of all the user's events above `after`, or everything active from its start."""
        await self._pull([user_id])
        with self._reading(user_id, None):
            async with aclosing(self._memory.follow_user(user_id, after)) as batches:
                async for batch in batches:
                    yield batch

    async def sweep(self) -> None:
        """Delete what nobody reads any more; for a home whose processes come and go."""
        await self._wire.trim()

    async def flush(self) -> None:
        """Return when all that was said here is on the wire, or when the wire cannot be written just now."""
        async with self._publishing:
            await self._put_out()

    async def check(self) -> None:
        """Raise WrongSetting when the wire cannot be reached."""
        await self._wire.check()

    async def close(self) -> None:
        """Publish what was said, and close the wire."""
        if publishing := self._tasks.get("publish"):
            await asyncio.wait((publishing,), timeout=CLOSE_SECONDS)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._wire.close()

    @contextmanager
    def _reading(self, user_id: str, run_id: str | None) -> Iterator[None]:
        key = (user_id, run_id)
        self._readers[key] += 1
        self._go("read", self._read)
        self._asked.ring()
        try:
            yield
        finally:
            self._readers[key] -= 1
            if not self._readers[key]:
                del self._readers[key]

    def _wanted(self) -> list[str]:
        """Return the users of whom somebody here reads what may be said elsewhere."""
        found = {
            user_id
            for user_id, run_id in self._readers
            if (run_id is None and self._publishes) or self._memory.is_elsewhere(user_id, run_id)
        }
        return list(found)

    async def _read(self) -> None:
        pause = READ_SECONDS
        while wanted := self._wanted():
            found = await self._pull(wanted)
            if found is None:
                pause = IDLE_SECONDS
            elif found or self._publishes:
                pause = READ_SECONDS
            else:
                pause = min(2 * pause, IDLE_SECONDS)
            hints = [asyncio.create_task(hint.wait(pause)) for hint in (self._wire, self._asked)]
            try:
                await asyncio.wait(hints, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for hint in hints:
                    hint.cancel()

    async def _pull(self, users: Sequence[str]) -> bool | None:
        """Put what others said of `users` into memory; say whether anything was new, None when that failed."""
        try:
            spoken = await self._wire.read({user_id: self._memory.known(user_id) for user_id in users})
        except KiraError as error:
            log.warning("what other processes say could not be read: %s", error.message)
            return None
        found = [self._memory.put(each.source, each.events) for each in spoken]
        if spoken:
            self._keep_trimmed()
        return any(found)

    async def _publish(self) -> None:
        """Write what was said meanwhile, all runs together, in the order in which they said it."""
        while self._outgoing:
            async with self._publishing:
                is_out = await self._put_out()
            await asyncio.sleep(DELTA_MILLISECONDS / 1000 if is_out else IDLE_SECONDS)

    async def _put_out(self) -> bool:
        """Write what waits in one go, and say whether that was possible."""
        spoken, self._outgoing = self._outgoing, []
        if not spoken:
            return True
        try:
            await self._wire.publish(spoken)
        except KiraError as error:
            log.warning("what runs say could not be published: %s", error.message)
            self._outgoing = [*spoken, *self._outgoing] if len(self._outgoing) < OUTGOING_MAX else []
            return False
        self._keep_trimmed()
        return True

    def _keep_trimmed(self) -> None:
        self._used = time.monotonic()
        if self._trims:
            self._go("trim", self._trim)

    async def _trim(self) -> None:
        """Trim now and then until the last that was heard of is gone."""
        while time.monotonic() - self._used < STREAM_KEPT_SECONDS + 2 * TRIM_SECONDS:
            await asyncio.sleep(TRIM_SECONDS)
            try:
                await self._wire.trim()
            except KiraError as error:
                log.warning("events could not be trimmed: %s", error.message)

    def _go(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have `work` done by a task, unless it is being done."""
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = asyncio.create_task(work())
