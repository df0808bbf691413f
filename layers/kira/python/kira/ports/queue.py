"""The queue: runs wait here, and whoever received least goes next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
    model: str
    attempt: int
    end: State | None


class Queue(Protocol):
    """The `runs` table seen as a fair queue.

    A run is queued by its row. Hints only tell where to look: they may be lost, doubled or late.
    """

    async def send(self, user_id: str, run_id: str, model: str) -> None:
        """Hint that a run waits, once its row is committed; a hint that cannot be sent is written to the log."""

    async def send_again(self) -> int:
        """Send hints for runs that have waited so long that theirs seem lost; return how many."""

    def wake(self) -> None:
        """Let whoever waits in this process look again: a slot became free, or this process is to stop."""

    async def receive(self, room: Mapping[str, int], worker: str, patient: Collection[str] = ()) -> Sequence[Claim]:
        """Claim at most `room[model]` runs of each model, in fair order, under leases of `worker`.

        Of the models in `patient` only those that have waited HOLD_BACK_SECONDS: another worker may be quicker.
        """

    async def extend(self, claims: Sequence[Claim]) -> set[str]:
        """Renew the leases of `claims`; return the ids of the runs whose lease was lost."""

    def done(self, claim: Claim) -> None:
        """Take note that the work on a claim is over, however it ended: its hint is not needed any more."""

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

    async def open(self) -> int:
        """Return how many runs wait or go."""

    async def wait(self, seconds: float, free: int) -> bool:
        """Return at a hint or a wake-up, or after `seconds`; say whether a hint tells of runs that wait.

        Hints that only one process receives are asked for as long as `free` further runs could begin here.
        """

    async def close(self) -> None:
        """Ask for no more hints, and leave those that led to nothing here to other processes."""
