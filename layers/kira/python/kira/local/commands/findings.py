"""What the doctor finds: one thing that was looked at, how it is to be taken, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """How a finding is to be taken; the higher, the worse."""

    OK = 0
    WARNING = 1
    WRONG = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and what to do about it."""

    state: State
    name: str
    found: str
    advice: str = ""
