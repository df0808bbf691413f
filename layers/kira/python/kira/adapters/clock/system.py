"""The clock of this computer."""

from __future__ import annotations

import time


class SystemClock:
    """Tells the time as the operating system does, or as the one server does that several computers share.

    `ahead` (microseconds) is how far that server's clock is before this computer's: leases and limits compare moments
    that several computers wrote.
    """

    def __init__(self) -> None:
        """Trust this computer."""
        self.ahead = 0

    def now(self) -> int:
        """Return the present moment in microseconds since 1970, UTC."""
        return time.time_ns() // 1000 + self.ahead
