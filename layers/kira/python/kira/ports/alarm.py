"""The alarm: wakes Kira at a moment, so that nothing has to look at a clock again and again."""

from __future__ import annotations

from typing import Protocol


class Alarm(Protocol):
    """Wakes whoever makes the clock's rounds; a wake-up too many does no harm."""

    async def set(self, moment: int) -> None:
        """See to a wake-up at `moment` (microseconds) or within a minute after it; one that is sooner stays.

        What fails is written to the log: whoever queues the next run sets the alarm again.
        """
