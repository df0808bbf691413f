"""The engine of a process that may be frozen between two requests: it looks when it is asked, not by itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable

from kira.adapters.engine.elsewhere import LOOK_SECONDS, ElsewhereEngine
from kira.domain.errors import KiraError
from kira.ports.engine import Fleet
from kira.ports.roster import Roster


async def _nothing() -> None:
    """There is nothing else to look at."""


class AskedEngine(ElsewhereEngine):
    """Knows what the workers of other processes serve, and what is served without any worker."""

    def __init__(
        self,
        roster: Roster,
        *,
        asleep: Fleet | None = None,
        always: Fleet | None = None,
        beside: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        """Look at `roster`, and `beside` it at whatever else is to be as fresh.

        `asleep` counts while no worker is there, `always` is there in any case.
        """
        super().__init__(roster, asleep=asleep)
        self._always = always
        self._beside = beside
        self._looked_at = 0.0

    async def start(self) -> None:
        """There is nothing to begin."""

    async def looked(self) -> None:
        """Look, unless that was done a moment ago."""
        # Not the time that the process ran: it may have been frozen in between.
        if abs(time.time() - self._looked_at) < LOOK_SECONDS:
            return
        self._looked_at = time.time()
        with contextlib.suppress(KiraError):  # what was seen last is better than nothing
            await self._roster.look()
            await self._beside()

    def fleet(self) -> Fleet:
        """Return what all serve."""
        fleet = super().fleet()
        return fleet.joined([self._always]) if self._always else fleet
