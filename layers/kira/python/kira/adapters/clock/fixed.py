"""A clock that stands still until it is moved, for tests and simulations."""

from __future__ import annotations

from dataclasses import dataclass

from kira.domain.moments import SECOND

START = 1_790_000_000 * SECOND


@dataclass(slots=True)
class FixedClock:
    """Stands at `moment` (microseconds since 1970, UTC)."""

    moment: int = START

    def now(self) -> int:
        """Return the moment at which the clock stands."""
        return self.moment

    def advance(self, seconds: float) -> None:
        """Move the clock on by `seconds`; raises ValueError for a negative number, since time does not go back."""
        if seconds < 0:
            raise ValueError("A clock does not go back.")
        self.moment += round(seconds * SECOND)
