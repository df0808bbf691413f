"""Usage: a user's own runs and tokens, by day and model."""

from __future__ import annotations

from dataclasses import dataclass

from kira.domain.moments import DAY, day_of
from kira.ports.clock import Clock
from kira.services.visits import Visit


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What one day cost with one model."""

    day: str
    model: str
    runs: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Usages:
    """Counts what ended runs cost."""

    clock: Clock

    async def by_day(self, visit: Visit, days: int) -> list[DayUsage]:
        """Return the usage of the last `days` days (UTC), newest first."""
        since = (self.clock.now() // DAY - days + 1) * DAY
        found = await visit.look("runs.usage", {"since": since})
        return [
            DayUsage(
                day_of(int(row["day_number"]) * DAY),
                row["model"],
                row["runs"],
                row["prompt_tokens"],
                row["completion_tokens"],
            )
            for row in found
        ]
