"""What a move asks of its two sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from kira.adapters.database.moving.tables import Plan, Table

ROWS_A_BLOCK = 100
"""So few that a block stays in a processor's cache, and that a server reads the last one while the next is made."""

RUNNING = "SELECT COUNT(*) FROM runs WHERE state = 'running'"

Key = Sequence[str | None]
Tell = Callable[[int, int], None]


class Phase(Protocol):
    """Begins a part of the work."""

    def __call__(self, label: str, *, unit: str | None = None) -> AbstractContextManager[Tell]:
        """Show `label` until the block ends; what it gives is told how many of `unit` are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far one table is: rows copied, the key of the last one, and whether that was all."""

    copied: int = 0
    last: Key | None = None
    done: bool = False


class Reader(Protocol):
    """One consistent view of a database."""

    kind: str

    def tables(self) -> dict[str, Table]:
        """Return the tables of Kira's."""

    def summary(self, table: Table) -> list[int]:
        """Return the number of rows, and a sum over each column of numbers."""

    def running(self) -> int:
        """Return how many runs are under a lease."""

    def blocks(
        self, table: Table, columns: Sequence[str], *, after: Key | None = None, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield rows as lines, with a `limit` in an order that stays and behind the row with the key `after`."""


class Target(Protocol):
    """Where everything goes; what has begun and did not finish is marked, and refused by Kira until it has."""

    kind: str

    @property
    def reader(self) -> Reader:
        """What is there now."""

    def begun(self) -> str | None:
        """Return what the unfinished move here comes from; None when there is none."""

    def users(self) -> int | None:
        """Return how many users are there; None when there is not even a schema."""

    def make_ready(self) -> str | None:
        """Make a schema where there is none. Return the address for KIRA_DATABASE when one was made."""

    def begin(self, mark: str) -> None:
        """Mark the target as unfinished, empty it, and put off what can be made faster at the end."""

    def place(self, table: str) -> Place:
        """Return how far a table is."""

    def write(self, plan: Plan, place: Place, blocks: Iterator[bytes], limit: int) -> Place:
        """Store at most `limit` rows and the new place, both or neither."""

    def settle(self, plans: Sequence[Plan], phase: Phase) -> None:
        """Make indexes and words, and check every reference; resumable."""

    def set_aside(self) -> str:
        """Keep what is there under another name, which is returned, so that there is nothing any more."""

    def finish(self) -> None:
        """Take the mark away: from now on Kira uses it."""

    def close(self) -> None:
        """Give everything back."""


def mark_of(plans: Sequence[Plan], summaries: Mapping[str, Sequence[int]]) -> str:
    """Return a short text that another state of the same source would not have."""
    return ";".join(f"{plan.table.name}:{','.join(map(str, summaries[plan.table.name]))}" for plan in plans)
