"""Which sources of one SELECT, UPDATE or DELETE are bound to the user: directly, or by equality with a bound one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Schema:
    """Tenant tables with the column that names their user, index tables, and every other name that is taken.

    `indexes` maps a full-text index to the tenant table whose rows it numbers. A table that is in neither cannot be
    named by a tenant statement at all.
    """

    tenant: dict[str, str]
    indexes: dict[str, str]
    taken: frozenset[str]


@dataclass(slots=True)
class Sources:
    """What one SELECT, UPDATE or DELETE reads from: alias to table, None for what was proven on its own."""

    tables: dict[str, str | None] = field(default_factory=dict)
    everywhere: list[exp.Expr] = field(default_factory=list)
    outer: dict[str, list[exp.Expr]] = field(default_factory=dict)

    def column(self, node: exp.Expr) -> tuple[str, str] | None:
        """Return alias and name of a column of these sources; an unqualified one only where there is one source."""
        if not isinstance(node, exp.Column):
            return None
        alias = node.table.lower() or (next(iter(self.tables)) if len(self.tables) == 1 else "")
        return (alias, node.name.lower()) if self.tables.get(alias) else None


class Solver:
    """Which aliases are bound to the user: directly, or by equality with a bound one."""

    def __init__(self, schema: Schema, sources: Sources) -> None:
        self.schema = schema
        self.sources = sources
        self.bound: set[str] = set()
        self.conditions: list[tuple[exp.EQ, str | None]] = []
        self._take(sources.everywhere, None)
        for alias, conditions in sources.outer.items():
            # A LEFT JOIN keeps every row of its left side, so its condition binds its own table only.
            self._take(conditions, alias)

    def solve(self) -> set[str]:
        """Return all bound aliases."""
        before = -1
        while before != len(self.bound):
            before = len(self.bound)
            for condition, only in self.conditions:
                for one, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
                    column = self.sources.column(one)
                    if column and only in (None, column[0]) and self._binds(column, other):
                        self.bound.add(column[0])
        return self.bound

    def _take(self, conditions: Iterable[exp.Expr], only: str | None) -> None:
        self.conditions += [(condition, only) for condition in conditions if isinstance(condition, exp.EQ)]

    def _binds(self, column: tuple[str, str], other: exp.Expr) -> bool:
        table = self.sources.tables[column[0]] or ""
        if column[1] == self.schema.tenant.get(table) and is_user(other):
            return True
        base = self.sources.column(other)
        if base is None or base[0] not in self.bound:
            return False
        of_base = self.sources.tables[base[0]] or ""
        if column[1] == self.schema.tenant.get(table):
            return base[1] == self.schema.tenant.get(of_base)
        return self.schema.indexes.get(table) == of_base and column[1] == base[1] == "rowid"


def is_user(node: exp.Expr) -> bool:
    """Say whether `node` is `:user_id` itself."""
    while isinstance(node, (exp.Paren, exp.Cast)):
        node = node.this
    return isinstance(node, exp.Placeholder) and node.name == "user_id"
