"""The queue: runs wait here, and whoever received least goes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kira.domain.runs import Claim, State


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting run stands: `position` 1 is next, `attempt` how often it was begun."""

    user_id: str
    run_id: str
    conversation_id: str | None
    kind: str
    model: str
    position: int
    attempt: int
    waiting_since: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A run whose worker is gone; `end` is its last state when it does not go again."""

    user_id: str
    run_id: str
    conversation_id: str | None
    kind: str
    attempt: int
    end: State | None


class Queue(Protocol):
    """The `runs` table seen as a fair queue."""

    def send(self) -> None:
        """Hint that a run was inserted or handed back; a lost hint costs time only."""

    async def receive(self, room: Mapping[str, int], worker: str) -> Sequence[Claim]:
        """Claim at most `room[model]` runs of each model, in fair order, under leases of `worker`."""

    async def extend(self, claims: Sequence[Claim]) -> set[str]:
        """Renew the leases of `claims`; return the ids of the runs whose lease was lost."""

    def interrupt(self) -> None:
        """Hint that a running run was asked to stop."""

    async def stops(self, worker: str, seconds: float) -> set[str]:
        """Return the ids of the runs of `worker` that are asked to stop: at the next hint, or after `seconds`."""

    async def wanted(self) -> Sequence[str]:
        """Return the models that waiting runs ask for."""

    async def fail_model(self, model: str, code: str, message: str) -> Sequence[Lost]:
        """End the waiting runs of a model that nobody has, with the reason; return them."""

    async def recover(self, alive: Callable[[str], bool]) -> Sequence[Lost]:
        """Put back runs whose lease expired or whose worker is not `alive`; those that
        were cancelled or failed too often end."""

    async def give_back(self, claim: Claim, reason: str, *, counted: bool) -> None:
        """Put a run back; `counted` False when the attempt was not the run's fault (a drain, a server down)."""

    async def places(self) -> Sequence[Place]:
        """Return every waiting run in the order in which it will be received."""

    async def wait(self, seconds: float) -> None:
        """Return when a hint came, or after `seconds`."""
