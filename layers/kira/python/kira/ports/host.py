"""The host: the computer under a worker, which may be taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a worker is: how many runs can go at once, and how many do."""

    slots: int
    running: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The computer is about to be taken away: why, as one sentence, and the seconds that are left for finishing."""

    reason: str
    seconds: float


class Host(Protocol):
    """The computer that a worker runs on, and whoever lends it."""

    async def watch(self, load: Callable[[], Load], leave: Callable[[Leave], None]) -> None:
        """Until cancelled, tell who lends it how busy the worker is, and call `leave` when it is to be given back.

        `leave` is called again when less time is left than was said. Nothing is raised: where nobody answers, the
        worker goes on.
        """

    async def left(self) -> None:
        """Say that the worker has left, so that nobody waits for it."""

    async def unfit(self, reason: str) -> None:
        """Say that this computer cannot do the work, so that another one is lent."""

    async def close(self) -> None:
        """Close what was opened."""
