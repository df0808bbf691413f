"""What a move asks of its two sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from kira.adapters.database.moving.tables import Plan, Table

ROWS_A_BLOCK = 100
"""So few that a block stays in a processor's cache, and that a server reads the last one while the next is made."""

RUNNING = "SELECT COUNT(*) FROM runs WHERE state = 'running'"

Tell = Callable[[int, int], None]


class Phase(Protocol):
    """Begins a part of the work."""

    def __call__(self, label: str, *, unit: str | None = None) -> AbstractContextManager[Tell]:
        """Show `label` until the block ends; what it gives is told how many of `unit` are done, and of how many."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """Rows of one table that lie side by side: those at the places from `first` to `last`."""

    first: int
    last: int


class Reader(Protocol):
    """One consistent view of a database."""

    kind: str

    def tables(self) -> dict[str, Table]:
        """Return the tables of Kira's."""

    def summary(self, table: Table) -> list[int]:
        """Return the number of rows, and a sum over each column of numbers."""

    def running(self) -> int:
        """Return how many runs are under a lease."""

    def parts(self, table: Table, rows: int) -> list[Part]:
        """Divide `table` into parts of about `rows` rows; none when it is empty."""

    def blocks(self, table: Table, columns: Sequence[str], part: Part | None = None) -> Iterator[bytes]:
        """Yield the rows of `part`, or all, as lines."""


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

    def begin(self, mark: str, parts: Mapping[str, Sequence[Part]]) -> None:
        """Mark the target as unfinished, empty it, note what is to be stored, and put off what is faster at the end."""

    def left(self, plan: Plan) -> tuple[list[Part], int]:
        """Return the parts of a table that are still to be stored, and the number of rows that are."""

    def write(self, plan: Plan, part: Part, blocks: Iterator[bytes]) -> int:
        """Store the rows of `part` and that they are, both or neither; return how many they were."""

    def settle(self, plans: Sequence[Plan], phase: Phase) -> None:
        """Make indexes and words, and check every reference; resumable."""

    def set_aside(self) -> str:
        """Keep what is there under another name, which is returned, so that there is nothing any more."""

    def finish(self) -> None:
        """Take the mark away: from now on Kira uses it."""

    def close(self) -> None:
        """Give everything back."""


def divide(first: int, last: int, parts: int) -> list[Part]:
    """Divide the places from `first` to `last` into at most `parts` parts, all of one width but the last."""
    width = -(-(last + 1 - first) // parts)
    return [Part(at, min(at + width - 1, last)) for at in range(first, last + 1, width)]


def note(table: str, part: Part | None = None) -> str:
    """Return under what a target notes whether `part` is stored, or how all notes of the table begin."""
    return f"rows {table} {f'{part.first} {part.last}' if part else ''}"


def noted(notes: Iterable[tuple[str, str]]) -> tuple[list[Part], int]:
    """Return the parts of the notes that have no number of rows yet, and the sum of all numbers."""
    found = list(notes)
    left = [Part(*map(int, name.split(" ")[2:])) for name, rows in found if not rows]
    return sorted(left), sum(int(rows or 0) for _, rows in found)


def mark_of(plans: Sequence[Plan], summaries: Mapping[str, Sequence[int]]) -> str:
    """Return a short text that another state of the same source would not have."""
    # What an older Kira began, which noted how far it was in another way, has another mark.
    return "parts;" + ";".join(f"{plan.table.name}:{','.join(map(str, summaries[plan.table.name]))}" for plan in plans)
