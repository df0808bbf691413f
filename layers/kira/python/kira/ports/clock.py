"""The clock: what time it is."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Microseconds since 1970, UTC."""

    def now(self) -> int:
        """Return the present moment in microseconds."""
