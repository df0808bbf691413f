"""What is moved: the tables and columns that both sides have, and what each database makes by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kira.domain.errors import Conflict, KiraError

NOT_MOVED = frozenset({"schema_steps", "run_events", "seats", "workers"})
"""Tables of one installation while it runs: the other side has its own, or makes them anew."""

SEARCHED = {"messages": "content"}
"""Tables with a full-text index, and the column that it is made from."""

SEARCH_TEXT, WORDS = "search_text", "words"
_DERIVED = frozenset({SEARCH_TEXT, WORDS})
_TYPES = frozenset({"text", "integer", "bigint", "tsvector"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table of one side: its columns with their types in lower case."""

    name: str
    columns: Mapping[str, str]

    @property
    def own(self) -> tuple[str, ...]:
        """The columns that hold something of users' own, in an order that is the same on both sides."""
        return tuple(sorted(column for column in self.columns if column not in _DERIVED))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold whole numbers."""
        return tuple(column for column in self.own if self.columns[column] in ("integer", "bigint"))


@dataclass(frozen=True, slots=True)
class Plan:
    """One table on its way: the columns that are copied, which may be more than its own."""

    table: Table
    columns: tuple[str, ...]


def plan(source: Mapping[str, Table], target: Mapping[str, Table], *, same_kind: bool) -> list[Plan]:
    """Return how to move each table. Raises Conflict when the sides differ, KiraError for what cannot be moved."""
    names = sorted(source.keys() - NOT_MOVED)
    if names != sorted(target.keys() - NOT_MOVED) or any(source[name].own != target[name].own for name in names):
        raise Conflict("FROM and TO have different tables, so nothing was moved. Bring both to this Kira's version.")
    return [_plan(source[name], target[name], same_kind=same_kind) for name in names]


def _plan(source: Table, target: Table, *, same_kind: bool) -> Plan:
    unknown = {kind for table in (source, target) for kind in table.columns.values()} - _TYPES
    if unknown or (SEARCH_TEXT in source.columns and source.name not in SEARCHED):
        raise KiraError(f"This Kira does not know how to move the table {source.name}.")
    # A PostgreSQL keeps words instead of the text for searches; whoever reads from one makes that text again.
    extra = [column for column in source.columns if column in _DERIVED and column in target.columns]
    if WORDS in source.columns and not same_kind:
        extra = []
    return Plan(source, source.own + tuple(extra))
