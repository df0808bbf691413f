"""The clock: what is due now for everybody, in one round, and when the next round is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from kira.domain.limits import MODEL_MISSED_SECONDS, ROUND_SECONDS, SWEEP_SECONDS
from kira.domain.moments import DAY, HOUR, SECOND
from kira.jobs.line import Herald
from kira.ports.alarm import Alarm
from kira.ports.clock import Clock
from kira.ports.queue import Queue
from kira.ports.roster import Roster

SWEEP_HOUR = 3
"""At this hour (UTC) a round is made although nothing is going on."""


@dataclass(slots=True)
class Rounds:
    """Makes a round at each wake-up; while runs are open the next one is soon, else it is the day's sweep.

    Two rounds at the same time do no harm: each run is put back, ended or hinted by statements that one of them wins.
    """

    queue: Queue
    herald: Herald
    roster: Roster
    clock: Clock
    alarm: Alarm
    sweeps: Sequence[Callable[[], Awaitable[object]]] = ()
    missed_s: float = MODEL_MISSED_SECONDS
    _swept: int = field(default=0)

    async def go(self) -> int:
        """Do what is due and set the alarm; return how many runs are open.

        When something fails the next round is soon, and does it again.
        """
        now = self.clock.now()
        following = now + ROUND_SECONDS * SECOND
        try:
            await self.herald.tell_lost(await self.queue.recover(_is_believed))
            await self._end_hopeless(now)
            await self.queue.send_again()
            await self._sweep(now)
            runs = await self.queue.open()
            if not runs:
                following = _next_sweep(now)
        finally:
            await self.alarm.set(following)
        return runs

    async def _end_hopeless(self, now: int) -> None:
        """End runs that have long waited for a model that no worker has; while no worker is here, any may come back."""
        since: dict[str, int] = {}
        for place in await self.queue.places():
            since[place.model] = min(place.waiting_since, since.get(place.model, now))
        if not since:
            return
        await self.roster.look()
        latest = now - self.missed_s * SECOND
        missing = self.herald.missing(self.herald.engine.fleet().joined(self.roster.others), list(since))
        await self.herald.end([model for model in missing if since[model] <= latest])

    async def _sweep(self, now: int) -> None:
        if now - self._swept < SWEEP_SECONDS * SECOND:
            return
        for sweep in self.sweeps:
            await sweep()
        self._swept = now


def _is_believed(_: str) -> bool:
    """Believe every worker until its lease expires: from here no process can be seen."""
    return True


def _next_sweep(now: int) -> int:
    """Return the same moment for all who ask within a day, so that it is one wake-up."""
    hour = SWEEP_HOUR * HOUR
    return ((now - hour) // DAY + 1) * DAY + hour
