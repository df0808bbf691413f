"""What is known about the line: how many wait, how long a run takes, and so how long a place lasts."""

from __future__ import annotations

from dataclasses import dataclass, field

from kira.domain.limits import RUNS_WAITING_MAX

FIRST_GUESS_SECONDS = 8.0
SMOOTHING = 0.2


@dataclass(slots=True)
class Line:
    """The line as this process last saw it; `service_s` is the smoothed duration of a run in seconds.

    It `is_held` while no model server answers: then nobody knows how long it lasts.
    """

    waiting: int = 0
    slots: int = 1
    free: int = 0
    service_s: float = FIRST_GUESS_SECONDS
    joins: int = 0
    is_held: bool = False
    _measured: bool = field(default=False)

    def took(self, seconds: float) -> None:
        """Learn from a run that took `seconds`."""
        self.service_s = seconds if not self._measured else self.service_s + SMOOTHING * (seconds - self.service_s)
        self._measured = True

    def wait_s(self, position: int) -> float | None:
        """Return the estimated seconds until the run at `position` (1 is next) begins; None when nobody knows."""
        if self.is_held:
            return None
        if position <= self.free:
            return 0.0
        return round((position - self.free) * self.service_s / max(1, self.slots), 1)

    def joined(self) -> int:
        """Count one more waiting run and return its likely position."""
        self.waiting += 1
        self.joins += 1
        return self.waiting

    def counted(self, waiting: int, joins: int) -> None:
        """Learn that `waiting` runs were seen by a look that began after so many `joins`; later ones come on top."""
        self.waiting = waiting + self.joins - joins

    @property
    def is_full(self) -> bool:
        """Say whether all users together have as many waiting runs as Kira keeps."""
        return self.waiting >= RUNS_WAITING_MAX
