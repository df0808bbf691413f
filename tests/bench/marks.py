"""The marks: each says its rule, measures, and gives the figure beside its goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """One measured figure; `goal` is met when `figure` is at most (or at least) `bound`."""

    name: str
    figure: float
    bound: float
    unit: str
    rule: str
    at_least: bool = False
    peers: str = ""

    @property
    def is_met(self) -> bool:
        """Say whether the goal is met."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    def line(self) -> str:
        """Return the mark as a row of the printed table."""
        sign = ">=" if self.at_least else "<="
        verdict = "met" if self.is_met else "MISSED"
        return f"| {self.name} | {self.figure:.4g} {self.unit} | {sign} {self.bound:g} | {verdict} | {self.peers} |"


Measure = Callable[[], list[Mark]]


def jain(values: list[float]) -> float:
    """Return Jain's fairness index: (sum x)^2 / (n * sum x^2); 1 is equal (Jain, Chiu, Hawe 1984)."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))
