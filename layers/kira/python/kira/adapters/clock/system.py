"""The clock of this computer."""

from __future__ import annotations

import time


class SystemClock:
    """Tells the time as the operating system does."""

    def now(self) -> int:
        """Return the present moment in microseconds since 1970, UTC."""
        return time.time_ns() // 1000
