"""Workers of a simulation: each has slots per model, holds claims, and may die or freeze."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from kira.domain.runs import Claim


class Health(Enum):
    """What a simulated worker can do."""

    WELL = "well"
    FROZEN = "frozen"  # it does nothing for a while, and believes that it holds what it held
    DEAD = "dead"


@dataclass(slots=True)
class Held:
    """A claim, the tokens its answer will have and when it began (microseconds)."""

    claim: Claim
    tokens: int
    began: int


@dataclass(slots=True)
class Hand:
    """One worker; `is_near` when others can see at once that its process is gone."""

    name: str
    slots: dict[str, int]
    is_near: bool = True
    health: Health = Health.WELL
    held: dict[str, Held] = field(default_factory=dict)

    def room(self) -> dict[str, int]:
        """Return the free slots by model."""
        taken = [held.claim.model for held in self.held.values()]
        return {model: most - taken.count(model) for model, most in self.slots.items()}

    def take(self, held: Held) -> None:
        """Hold a claim; never more of a model than there are slots."""
        assert self.room()[held.claim.model] > 0, f"{self.name} holds more runs of {held.claim.model} than slots"
        self.held[held.claim.run_id] = held


@dataclass(slots=True)
class Hands:
    """All workers that ever were, by name."""

    of: dict[str, Hand] = field(default_factory=dict)

    def add(self, slots: dict[str, int], *, is_near: bool = True) -> Hand:
        """Let another worker begin."""
        hand = Hand(f"host:{len(self.of)}:0", dict(slots), is_near)
        self.of[hand.name] = hand
        return hand

    def well(self) -> list[Hand]:
        """Return those that work."""
        return [hand for hand in self.of.values() if hand.health is Health.WELL]

    def is_alive(self, name: str) -> bool:
        """Say what a worker can know of another one: of a process elsewhere only its lease tells."""
        hand = self.of[name]
        return not hand.is_near or hand.health is not Health.DEAD
