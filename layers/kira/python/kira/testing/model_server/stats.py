"""What the test model server counts."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field
from typing import Any

REMEMBERED = 2_000


@dataclass(slots=True)
class Stats:
    """What the server saw: counts, and seconds that slots were busy or empty between the first and the last answer."""

    requests: int = 0
    answered: int = 0
    cancelled: int = 0
    failed: int = 0
    loads: int = 0
    tokens: int = 0
    running: int = 0
    running_max: int = 0
    waiting: int = 0
    waiting_max: int = 0
    busy_s: float = 0.0
    empty_s: float = 0.0
    options: list[str] = field(default_factory=list)
    waited: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    asked: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _since: float | None = None

    def tick(self, now: float, slots: int) -> None:
        """Add the time since the last change to the busy and the empty seconds of the slots."""
        if self._since is not None:
            span = now - self._since
            busy = min(self.running, slots)
            self.busy_s += span * busy
            self.empty_s += span * (slots - busy)
        self._since = now

    def begin(self, now: float, slots: int) -> None:
        """Count an answer that takes a slot."""
        self.tick(now, slots)
        self.running += 1
        self.running_max = max(self.running_max, self.running)

    def end(self, now: float, slots: int) -> None:
        """Count an answer that gives its slot back."""
        self.tick(now, slots)
        self.running -= 1

    def wait(self, change: int) -> None:
        """Count a request that waits for a slot (1) or does no longer (-1)."""
        self.waiting += change
        self.waiting_max = max(self.waiting_max, self.waiting)

    def reset(self) -> None:
        """Forget everything but what is going now."""
        running, waiting = self.running, self.waiting
        fresh = Stats(running=running, running_max=running, waiting=waiting, waiting_max=waiting)
        for each in dataclasses.fields(self):
            setattr(self, each.name, getattr(fresh, each.name))

    def shown(self) -> dict[str, Any]:
        """Return the counts as JSON can carry them; of the requests only how many distinct option sets they had."""
        hidden = {"asked", "_since", "waited"}
        found = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name not in hidden}
        return {**found, "waited": list(self.waited), "option_sets": len(self.options)}
