"""The alarm as a timer in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kira.domain.errors import KiraError
from kira.domain.moments import SECOND
from kira.ports.clock import Clock

log = logging.getLogger("kira.clock")


class TimerAlarm:
    """Keeps the Alarm promise as long as this process lives; one timer, set to the earliest moment."""

    def __init__(self, clock: Clock) -> None:
        """Measure by `clock`; whom to wake is told later."""
        self._clock = clock
        self._work: Callable[[], Awaitable[object]] | None = None
        self._timer: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()
        self.moment: int | None = None

    def wakes(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do `work` at each wake-up."""
        self._work = work

    async def set(self, moment: int) -> None:
        """Wake at `moment`, unless that is done sooner."""
        if self.moment is not None and self.moment <= moment:
            return
        if self._timer is not None:
            self._timer.cancel()
        self.moment = moment
        self._timer = asyncio.create_task(self._wait(moment))

    async def close(self) -> None:
        """Wake nobody any more."""
        tasks = [task for task in (self._timer, *self._working) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, moment: int) -> None:
        await asyncio.sleep(max(0, moment - self._clock.now()) / SECOND)
        self.moment = self._timer = None
        # A task of its own: the work sets the next alarm, which may put an end to this one.
        working = asyncio.create_task(self._wake())
        self._working.add(working)
        working.add_done_callback(self._working.discard)

    async def _wake(self) -> None:
        try:
            if self._work is not None:
                await self._work()
        except KiraError as error:
            log.warning("what was due could not be done: %s", error.message)
        except Exception:  # a defect in one round must not be the end of all
            log.exception("what was due could not be done")
