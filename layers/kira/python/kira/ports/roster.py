"""The roster: which workers are there, what each serves, and which of them leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kira.ports.engine import Fleet


class Roster(Protocol):
    """Workers of every process on the same data; what is known is as old as the last look."""

    async def tell(self, fleet: Fleet) -> None:
        """Say that this worker is here and serves `fleet`, and look who else is."""

    async def look(self) -> None:
        """Look who is here, without being a worker."""

    async def leave(self) -> None:
        """Say that this worker is gone."""

    @property
    def others(self) -> Sequence[Fleet]:
        """What the other living workers serve."""

    @property
    def last(self) -> Fleet | None:
        """What the worker served that was heard of last, even if it is gone."""

    @property
    def leads(self) -> bool:
        """Say whether this worker does what one of them has to do for all: the one that came first."""
