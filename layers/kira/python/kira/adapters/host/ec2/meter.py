"""Adds up how busy a worker was between two tellings."""

from __future__ import annotations

from dataclasses import dataclass

from kira.ports.host import Load


@dataclass(slots=True)
class Meter:
    """Sums of what was seen; the mean of a minute says more than its last moment."""

    seen: int = 0
    slots: int = 0
    running: int = 0

    def add(self, load: Load) -> None:
        """Take note of one look."""
        self.seen, self.slots, self.running = self.seen + 1, self.slots + load.slots, self.running + load.running

    def read(self) -> dict[str, tuple[float, str]]:
        """Return the values with their units, and begin anew; a worker without slots has no utilisation."""
        seen, slots, running = max(1, self.seen), self.slots, self.running
        self.seen = self.slots = self.running = 0
        found = {"Slots": (slots / seen, "Count"), "Running": (running / seen, "Count")}
        if slots:
            found["SlotUtilisation"] = (min(100.0, 100 * running / slots), "Percent")
        return found
