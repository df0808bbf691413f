"""The queue: runs wait here, and whoever received least goes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kira.domain.runs import Claim


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting run stands: 1 is next; `ahead_tokens` is the estimated service before it."""

    user_id: str
    run_id: str
    conversation_id: str | None
    kind: str
    model: str
    position: int
    waiting_since: int


class Queue(Protocol):
    """The `runs` table seen as a fair queue."""

    def send(self) -> None:
        """Hint that a run was inserted or handed back; a lost hint costs time only."""

    async def receive(self, room: Mapping[str, int], worker: str) -> Sequence[Claim]:
        """Claim at most `room[model]` runs of each model, in fair order, under leases of `worker`."""

    async def extend(self, claims: Sequence[Claim]) -> set[str]:
        """Renew leases; return the ids of runs among `claims` that are to stop (cancelled or lost)."""

    async def give_back(self, claim: Claim, reason: str, *, counted: bool) -> None:
        """Put a run back; `counted` False when the attempt was not the run's fault (a drain, a server down)."""

    async def places(self) -> Sequence[Place]:
        """Return every waiting run in the order in which it will be received."""

    async def wait(self, seconds: float) -> None:
        """Return when a hint came, or after `seconds`."""
