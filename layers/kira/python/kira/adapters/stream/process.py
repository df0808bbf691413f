"""The stream within one process: lists in memory, readers woken by futures."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kira.adapters.stream.bell import Bell
from kira.domain.events import LAST, Event, attempt_of, first_number, is_work, working_number
from kira.domain.ids import made_at
from kira.domain.limits import RUN_SECONDS_MAX, STREAM_KEPT_SECONDS, STREAM_PING_SECONDS
from kira.ports.stream import Said, Source

UNKNOWN_SECONDS = 1.0
"""How often the reader of a run that nobody here works on is woken, to look at the table."""
USER_EVENTS_KEPT = 4_000
NUMBERS = 1 << 24
"""How many numbers for a user's events are a process's own: it draws where they begin, so that none is another's."""
TICK_MS = 50
TICKS_MAX = 400_000
FORGET_SECONDS = 60
FORGOTTEN = 1 << 60
STATES = frozenset({"queued", "started", "reason"})
"""The kinds that say where a run stands."""


@dataclass(slots=True)
class _Run:
    source: Source
    events: list[Event] = field(default_factory=list)
    bell: Bell = field(default_factory=Bell)
    ended: bool = False
    here: bool = False
    touched: float = 0.0

    @property
    def last(self) -> int:
        return self.events[-1].number if self.events else 0


@dataclass(slots=True)
class _User:
    number: int
    said: deque[Said] = field(default_factory=lambda: deque(maxlen=USER_EVENTS_KEPT))
    bell: Bell = field(default_factory=Bell)
    runs: dict[str, _Run] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)

    def active(self) -> Iterator[_Run]:
        return (run for run in self.runs.values() if not run.ended)


class ProcessStream:
    """Keeps the Stream promise for readers in the same process."""

    def __init__(self, silence_s: float = STREAM_PING_SECONDS, *, apart: bool = False) -> None:
        """Start empty; nothing survives the process, the runs table does. Readers hear of silence after `silence_s`.

        `apart`: number so that other processes that speak of the same runs do not take the same numbers.
        """
        self._silence_s = silence_s
        self._apart = apart
        self._users: dict[str, _User] = {}
        self._ended: deque[tuple[float, str, str]] = deque()
        self._first_of_user = (1 + secrets.randbelow(1 << 28)) * NUMBERS  # below 2 ** 53: whole in every browser
        self._looked = time.monotonic()

    async def append(
        self, source: Source, attempt: int, said: Sequence[tuple[str, dict[str, Any]]], *, works: bool = False
    ) -> None:
        """Add what a run said and wake its readers."""
        self.add(source, attempt, said, works=works)

    def add(
        self, source: Source, attempt: int, said: Sequence[tuple[str, dict[str, Any]]], *, works: bool = False
    ) -> list[Event]:
        """Add what a run said; return it numbered, without what comes too late."""
        run = self._run(source)
        attempt = max(attempt, 1)
        now = attempt_of(run.last)
        # A lease was lost: who works on the run by now has these numbers.
        late = now > attempt or (now == attempt and not works and not run.here and is_work(run.last))
        if run.ended or late:
            return []
        run.here = works or (run.here and now == attempt)
        number = max(run.last + 1, self._first(source, attempt, works=works))
        kinds = [kind for kind, _ in said]
        end = next((place + 1 for place, kind in enumerate(kinds) if kind in LAST), len(kinds))
        events = [Event(number + place, kind, data) for place, (kind, data) in enumerate(said[:end])]
        self._take(run, events)
        return events

    def put(self, source: Source, events: Sequence[Event]) -> bool:
        """Take in what another process said and numbered; say whether anything of it was new.

        What is known or late is left out. So is work after a gap: half a text is worse than silence, in which the
        reader looks to the table and finds all of it.
        """
        if source.run_id in self._user(source.user_id).gone:
            return False
        run = self._run(source)
        last, fresh = run.last, []
        for event in events:
            number = event.number
            follows = number == last + 1 or number == working_number(attempt_of(number))
            if number > last and not run.ended and (follows or not is_work(number)):
                fresh.append(event)
                last = number
        if fresh:
            run.here = False
            self._take(run, fresh)
        return bool(fresh)

    async def knows(self, user_id: str, run_id: str) -> bool:
        """Say whether events of this run are kept here."""
        return self._find(user_id, run_id) is not None

    def known(self, user_id: str) -> dict[str, int]:
        """Return the number of the last event of each of the user's runs that were heard of."""
        user = self._users.get(user_id)
        if user is None:
            return {}
        return dict.fromkeys(user.gone, FORGOTTEN) | {run_id: run.last for run_id, run in user.runs.items()}

    def is_elsewhere(self, user_id: str, run_id: str | None) -> bool:
        """Say whether more of a run, or of any active run, may come from elsewhere: nobody here works on it."""
        user = self._users.get(user_id)
        if run_id is None:
            return user is not None and any(not run.here for run in user.active())
        run = user.runs.get(run_id) if user else None
        return run is None or not (run.here or run.ended)

    def leave(self, user_id: str, run_id: str) -> None:
        """Note that the one who worked here on a run is silent, so that another may have it by now."""
        if run := self._find(user_id, run_id):
            run.here = False

    async def follow(self, user_id: str, run_id: str, after: int) -> AsyncGenerator[list[Event], None]:
        """Yield batches of one run's events above `after`; ends with the run."""
        user = self._user(user_id)
        while (run := self._find(user_id, run_id)) is None:
            await user.bell.wait(UNKNOWN_SECONDS)
            if self._find(user_id, run_id) is None:
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

    async def follow_user(self, user_id: str, after: int | None) -> AsyncGenerator[list[Said], None]:
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

    def _first(self, source: Source, attempt: int, *, works: bool) -> int:
        if not self._apart:
            return first_number(attempt)
        if works:
            return working_number(attempt)
        # Those who tell of a waiting run do not hear one another: the time that it waits keeps their numbers apart.
        made = made_at(source.run_id)
        waited = time.time_ns() // 1_000_000 - made if made is not None else 0
        return first_number(attempt) + max(0, min(waited // TICK_MS, TICKS_MAX))

    def _take(self, run: _Run, events: Sequence[Event]) -> None:
        user = self._user(run.source.user_id)
        user.runs[run.source.run_id] = run
        run.events += events
        run.touched = time.monotonic()
        for event in events:
            user.number += 1
            user.said.append(Said(user.number, run.source, event))
        if events and events[-1].kind in LAST:
            run.ended = True
            self._ended.append((run.touched, run.source.user_id, run.source.run_id))
        run.bell.ring()
        user.bell.ring()
        self._trim(run.touched)

    def _find(self, user_id: str, run_id: str) -> _Run | None:
        user = self._users.get(user_id)
        return user.runs.get(run_id) if user else None

    def _run(self, source: Source) -> _Run:
        """Return the run of `source`; one that nothing was heard of is kept with its first event."""
        return self._find(source.user_id, source.run_id) or _Run(source)

    def _user(self, user_id: str) -> _User:
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = _User(self._first_of_user)
        return user

    def _trim(self, now: float) -> None:
        while self._ended and self._ended[0][0] < now - STREAM_KEPT_SECONDS:
            _, user_id, run_id = self._ended.popleft()
            user = self._users[user_id]
            user.runs.pop(run_id, None)
            user.gone[run_id] = now
            if not user.runs:
                user.said.clear()
        if now - self._looked > FORGET_SECONDS:
            self._looked = now
            for user in self._users.values():
                _forget(user, now - RUN_SECONDS_MAX - STREAM_KEPT_SECONDS)


def _forget(user: _User, horizon: float) -> None:
    """Forget runs whose end nobody here heard, and that those were there whose end is long ago."""
    for run in [run for run in user.active() if run.touched < horizon]:
        del user.runs[run.source.run_id]
    for run_id in [run_id for run_id, moment in user.gone.items() if moment < horizon]:
        del user.gone[run_id]


def _above(said: deque[Said], after: int) -> list[Said]:
    """Return the newest part of `said` above `after`; walks back from the end, which is short."""
    batch: list[Said] = []
    for item in reversed(said):
        if item.number <= after:
            break
        batch.append(item)
    batch.reverse()
    return batch


def _from_the_start(user: _User) -> Iterator[Said]:
    for run in user.active():
        began = max((place for place, event in enumerate(run.events) if event.kind == "restart"), default=0)
        yield Said(user.number, run.source, Event(0, "restart", {}))
        for event in run.events:
            if event.kind in STATES:
                yield Said(user.number, run.source, event)
        for kind in ("thinking", "delta"):
            text = "".join(event.data["text"] for event in run.events[began:] if event.kind == kind)
            if text:
                yield Said(user.number, run.source, Event(run.last, kind, {"text": text}))
