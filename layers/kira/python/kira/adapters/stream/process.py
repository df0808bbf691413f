"""The stream within one process: lists in memory, readers woken by futures."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kira.domain.events import LAST, Event, first_number
from kira.domain.limits import STREAM_KEPT_SECONDS, STREAM_PING_SECONDS
from kira.ports.stream import Said, Source

UNKNOWN_SECONDS = 1.0
"""How often the reader of a run that nobody here works on is woken, to look at the table."""
USER_EVENTS_KEPT = 4_000


class Bell:
    """Wakes all who wait, once."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake everybody."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, seconds: float) -> None:
        """Return at the next ring, or after `seconds`."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait((future,), timeout=seconds)
        finally:
            self._waiting.discard(future)


@dataclass(slots=True)
class _Run:
    source: Source
    events: list[Event] = field(default_factory=list)
    bell: Bell = field(default_factory=Bell)
    ended: bool = False


@dataclass(slots=True)
class _User:
    number: int
    said: deque[Said] = field(default_factory=lambda: deque(maxlen=USER_EVENTS_KEPT))
    bell: Bell = field(default_factory=Bell)
    active: dict[str, _Run] = field(default_factory=dict)


class ProcessStream:
    """Keeps the Stream promise for readers in the same process."""

    def __init__(self, silence_s: float = STREAM_PING_SECONDS) -> None:
        """Start empty; nothing survives the process, the runs table does. Readers hear of silence after `silence_s`."""
        self._silence_s = silence_s
        self._runs: dict[tuple[str, str], _Run] = {}
        self._users: dict[str, _User] = {}
        self._ended: deque[tuple[float, tuple[str, str]]] = deque()

    async def append(self, source: Source, attempt: int, said: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Add what a run said and wake its readers."""
        run = self._run(source)
        user = self._user(source.user_id)
        number = max(run.events[-1].number + 1 if run.events else 0, first_number(max(attempt, 1)))
        for kind, data in said:
            if run.ended:
                break
            event = Event(number, kind, data)
            number += 1
            run.events.append(event)
            user.number += 1
            user.said.append(Said(user.number, source, event))
            if kind in LAST:
                run.ended = True
                user.active.pop(source.run_id, None)
                self._ended.append((time.monotonic(), (source.user_id, source.run_id)))
        run.bell.ring()
        user.bell.ring()
        self._trim()

    async def knows(self, user_id: str, run_id: str) -> bool:
        """Say whether events of this run are kept here."""
        return (user_id, run_id) in self._runs

    async def follow(self, user_id: str, run_id: str, after: int) -> AsyncIterator[list[Event]]:
        """Yield batches of one run's events above `after`; ends with the run."""
        while (run := self._runs.get((user_id, run_id))) is None:
            user = self._user(user_id)
            await user.bell.wait(UNKNOWN_SECONDS)
            if (user_id, run_id) not in self._runs:
                yield []
        read = 0
        while True:
            batch = [event for event in run.events[read:] if event.number > after]
            read = len(run.events)
            if batch:
                yield batch
            if run.ended and read == len(run.events):
                return
            if read == len(run.events):
                await run.bell.wait(self._silence_s)
                if read == len(run.events) and not run.ended:
                    yield []

    async def follow_user(self, user_id: str, after: int | None) -> AsyncIterator[list[Said]]:
        """Yield batches of all the user's events above `after`, or everything active from its start."""
        user = self._user(user_id)
        first = user.said[0].number if user.said else user.number + 1
        if after is None or not first - 1 <= after <= user.number:
            told = list(_from_the_start(user))
            after = user.number
            yield told  # even when empty: from here on nothing is missed
        while True:
            batch = _above(user.said, after)
            if batch:
                after = batch[-1].number
                yield batch
            else:
                await user.bell.wait(self._silence_s)
                if user.number == after:
                    yield []

    def _run(self, source: Source) -> _Run:
        key = (source.user_id, source.run_id)
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run(source)
            self._user(source.user_id).active[source.run_id] = run
        return run

    def _user(self, user_id: str) -> _User:
        user = self._users.get(user_id)
        if user is None:
            # Numbers begin at the present moment, so that those of an earlier process are below and not mistaken.
            user = self._users[user_id] = _User(number=time.time_ns() // 1_000_000)
        return user

    def _trim(self) -> None:
        horizon = time.monotonic() - STREAM_KEPT_SECONDS
        while self._ended and self._ended[0][0] < horizon:
            key = self._ended.popleft()[1]
            self._runs.pop(key, None)
            user = self._users.get(key[0])
            if user is not None and not user.active:
                user.said.clear()


def _above(said: deque[Said], after: int) -> list[Said]:
    """Return the newest part of `said` above `after`; walks back from the end, which is short."""
    batch: list[Said] = []
    for item in reversed(said):
        if item.number <= after:
            break
        batch.append(item)
    batch.reverse()
    return batch


def _from_the_start(user: _User) -> list[Said]:
    told: list[Said] = []
    for run in user.active.values():
        told.append(Said(user.number, run.source, Event(0, "restart", {})))
        text = "".join(event.data["text"] for event in run.events if event.kind == "delta")
        told += [Said(user.number, run.source, event) for event in run.events if event.kind in ("queued", "started")]
        if text:
            told.append(Said(user.number, run.source, Event(run.events[-1].number, "delta", {"text": text})))
    return told
