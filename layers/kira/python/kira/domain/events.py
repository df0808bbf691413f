"""What a run says while it goes, numbered within the run so that any reader can resume."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ATTEMPT_STRIDE = 1_000_000
"""Numbers of attempt n begin after (n - 1) times this, so that they rise even when a crash lost the first ones."""

WORK_OFFSET = ATTEMPT_STRIDE // 2
"""Where several processes speak of a run, the one that works on an attempt numbers from the upper half on."""

LAST = frozenset({"done", "failed", "cancelled"})
"""The kinds after which a run says nothing more."""


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered event of a run: `kind` is one of api.md's names, `data` becomes one JSON object."""

    number: int
    kind: str
    data: dict[str, Any]

    def frame(self, **more: object) -> bytes:
        """Return the event as a server-sent event; fields of `more` join its data."""
        data = json.dumps({**self.data, **more}, ensure_ascii=False, separators=(",", ":"))
        return f"id: {self.number}\nevent: {self.kind}\ndata: {data}\n\n".encode()


def first_number(attempt: int) -> int:
    """Return the number of the first event of `attempt` (1 for the first attempt)."""
    return (attempt - 1) * ATTEMPT_STRIDE + 1


def working_number(attempt: int) -> int:
    """Return the number from which on only the one who works on `attempt` speaks, without gaps."""
    return first_number(attempt) + WORK_OFFSET


def attempt_of(number: int) -> int:
    """Return the attempt that the event `number` belongs to; 0 for no event."""
    return (number - 1) // ATTEMPT_STRIDE + 1


def is_work(number: int) -> bool:
    """Say whether the event `number` is in the half of those who work."""
    return (number - 1) % ATTEMPT_STRIDE >= WORK_OFFSET
