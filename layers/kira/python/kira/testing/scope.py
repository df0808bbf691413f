"""The rules by which one SQL statement is shown to touch only the rows of `:user_id`; whatever is unclear is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

Column = tuple[str, str]


class Unscoped(Exception):
    """The statement was not shown to stay within one user."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Tenant tables with the column that names their user, shared tables, and index tables.

    `dependent` maps an index table to (its key, the tenant table it belongs to, that table's key): it is scoped only
    by equality of the two.
    """

    tenant: dict[str, str]
    shared: frozenset[str]
    dependent: dict[str, tuple[str, str, str]]

    def knows(self, table: str) -> bool:
        """Say whether `table` is one of the schema's."""
        return table in self.tenant or table in self.shared or table in self.dependent

    def needs_proof(self, table: str) -> bool:
        """Say whether rows of `table` belong to users."""
        return table in self.tenant or table in self.dependent


@dataclass(slots=True)
class _Proof:
    schema: Schema
    seen: set[str] = field(default_factory=set)

    def table(self, node: exp.Table) -> str:
        name = node.name.lower()
        if node.args.get("db") or not isinstance(node.this, exp.Identifier) or not self.schema.knows(name):
            raise Unscoped(f"unknown table {node.sql()!r}")
        self.seen.add(name)
        return name

    # Reading

    def selects(self, node: exp.Expression) -> None:
        """Prove every SELECT below `node`, those nested in expressions included."""
        for found in node.find_all(exp.Select, exp.SetOperation):
            if found.find_ancestor(exp.Select, exp.SetOperation) is None:
                self._select(found)

    def _select(self, node: exp.Query) -> None:
        for scope in traverse_scope(node):
            if isinstance(scope.expression, exp.Select):
                self._scope(scope, scope.expression)

    def _scope(self, scope: Scope, select: exp.Select) -> None:
        tables: dict[str, str] = {}
        for alias, (_, source) in scope.selected_sources.items():
            if isinstance(source, exp.Table):
                tables[alias.lower()] = self.table(source)
        lone = len(scope.selected_sources) == 1
        where = select.args.get("where")
        everywhere = list(_conjuncts(where.this if where else None))
        outer: dict[str, list[exp.Expression]] = {}
        for join in select.args.get("joins") or []:
            side = (join.side or "").upper()
            if side in ("RIGHT", "FULL") or join.args.get("using") or (join.method or "").upper() == "NATURAL":
                raise Unscoped("RIGHT, FULL, USING and NATURAL joins are not understood")
            conditions = list(_conjuncts(join.args.get("on")))
            if side == "LEFT":
                outer.setdefault((join.alias_or_name or "").lower(), []).extend(conditions)
            else:
                everywhere.extend(conditions)
        self._bound(tables, everywhere, outer, lone=lone)

    def _bound(
        self,
        tables: dict[str, str],
        everywhere: Iterable[exp.Expression],
        outer: dict[str, list[exp.Expression]],
        *,
        lone: bool,
    ) -> None:
        solver = _Solver(self.schema, tables, next(iter(tables)) if lone and tables else None)
        for condition in everywhere:
            solver.take(condition, None)
        for alias, conditions in outer.items():
            for condition in conditions:
                solver.take(condition, alias)
        for alias, table in tables.items():
            if self.schema.needs_proof(table) and alias not in solver.solve():
                raise Unscoped(f"{table} AS {alias} is not bound to :user_id")

    # Writing

    def insert(self, node: exp.Insert) -> None:
        """Prove an INSERT: `:user_id` goes into the owner's column, and a conflict changes only the user's row."""
        head = node.this
        target = head.this if isinstance(head, exp.Schema) else head
        table = self.table(target)
        if node.args.get("alternative"):
            raise Unscoped("INSERT OR ... may replace another user's row")
        if table in self.schema.dependent:
            raise Unscoped("index tables are written by triggers only")
        owner = self.schema.tenant.get(table)
        if owner is not None:
            self._values(node, head, owner)
            self._conflict(node, target, table, owner)
        self.selects(node)

    def _values(self, node: exp.Insert, head: exp.Expression, owner: str) -> None:
        columns = [column.name.lower() for column in head.expressions] if isinstance(head, exp.Schema) else []
        if owner not in columns:
            raise Unscoped(f"INSERT without {owner}")
        place, source = columns.index(owner), node.expression
        if isinstance(source, exp.Values):
            given = [row.expressions[place] for row in source.expressions]
        elif isinstance(source, exp.Select):
            given = [source.expressions[place].unalias()]
        else:
            raise Unscoped("this form of INSERT is not understood")
        if not all(map(_is_user, given)):
            raise Unscoped(f"{owner} is not :user_id")

    def _conflict(self, node: exp.Insert, target: exp.Expression, table: str, owner: str) -> None:
        conflict = node.args.get("conflict")
        if conflict is None or not conflict.expressions:
            return
        keys = [key.name.lower() for key in conflict.args.get("conflict_keys") or []]
        if any(isinstance(each, exp.EQ) and each.this.name.lower() == owner for each in conflict.expressions):
            raise Unscoped(f"SET {owner}")
        names = {(target.alias or table).lower(), table, ""}
        where = conflict.args.get("where")
        bound = any(_binds(condition, owner, names) for condition in _conjuncts(where.this if where else None))
        if owner not in keys and not bound:
            raise Unscoped("ON CONFLICT DO UPDATE may change another user's row")

    def change(self, node: exp.Update | exp.Delete) -> None:
        """Prove an UPDATE or DELETE: its table, and those that it reads beside, are bound to `:user_id`."""
        target = node.this
        table = self.table(target)
        if table in self.schema.dependent:
            raise Unscoped("index tables are written by triggers only")
        owner = self.schema.tenant.get(table)
        if isinstance(node, exp.Update) and any(
            not isinstance(each, exp.EQ) or each.this.name.lower() in (owner, "user_id") for each in node.expressions
        ):
            raise Unscoped("SET of the owner, or of several columns at once")
        tables = {(target.alias or table).lower(): table}
        beside = node.args.get("from_") or node.args.get("from") or node.args.get("using")
        for part in beside if isinstance(beside, list) else [beside] if isinstance(beside, exp.Expression) else []:
            if part.find(exp.Join) or part.find(exp.Select):
                raise Unscoped("joins and subqueries beside UPDATE and DELETE are not understood")
            tables |= {(each.alias or each.name).lower(): self.table(each) for each in part.find_all(exp.Table)}
        where = node.args.get("where")
        self._bound(tables, list(_conjuncts(where.this if where else None)), {}, lone=len(tables) == 1)
        self.selects(node)

    def nothing_escaped(self, statement: exp.Expression) -> None:
        """Refuse when a table stands anywhere that the walk did not reach, or a CTE has a table's name."""
        shadows = {cte.alias.lower() for cte in statement.find_all(exp.CTE)}
        for name in shadows:
            if self.schema.knows(name):
                raise Unscoped("a CTE has the name of a table")
        for node in statement.find_all(exp.Table):
            name = node.name.lower()
            if name not in shadows and name not in self.seen and name != "excluded":
                raise Unscoped(f"{name} was not reached")


@dataclass(slots=True)
class _Solver:
    """Which aliases are bound to the user: directly, or by equality with a bound one."""

    schema: Schema
    tables: dict[str, str]
    lone: str | None
    bound: set[str] = field(default_factory=set)
    equal: list[tuple[str, str, str | None]] = field(default_factory=list)
    linked: list[tuple[Column, Column, str | None]] = field(default_factory=list)

    def take(self, condition: exp.Expression, only: str | None) -> None:
        """Learn from one AND-ed condition; `only` is the alias that an outer join's condition may bind."""
        if not isinstance(condition, exp.EQ):
            return
        left, right = condition.this, condition.expression
        for one, other in ((left, right), (right, left)):
            column = self._column(one)
            if column and self._is_owner(column) and _is_user(other) and only in (None, column[0]):
                self.bound.add(column[0])
        first, second = self._column(left), self._column(right)
        if first and second:
            if self._is_owner(first) and self._is_owner(second):
                self.equal.append((first[0], second[0], only))
            self.linked += [(first, second, only), (second, first, only)]

    def solve(self) -> set[str]:
        """Return all bound aliases."""
        while True:
            before = len(self.bound)
            for first, second, only in self.equal:
                if first in self.bound and only in (None, second):
                    self.bound.add(second)
                if second in self.bound and only in (None, first):
                    self.bound.add(first)
            for column, base, only in self.linked:
                rule = self.schema.dependent.get(self.tables.get(column[0], ""))
                if (
                    rule is not None
                    and only in (None, column[0])
                    and (column[1], self.tables.get(base[0]), base[1]) == rule
                    and base[0] in self.bound
                ):
                    self.bound.add(column[0])
            if len(self.bound) == before:
                return self.bound

    def _column(self, node: exp.Expression) -> Column | None:
        if not isinstance(node, exp.Column):
            return None
        table = node.table.lower() or self.lone
        return (table, node.name.lower()) if table else None

    def _is_owner(self, column: Column) -> bool:
        return self.schema.tenant.get(self.tables.get(column[0], "")) == column[1]


def prove(sql: str, schema: Schema, dialect: str) -> frozenset[str]:
    """Return the tables that `sql` names; raises Unscoped unless it was shown to stay within `:user_id`."""
    try:
        parsed = [each for each in sqlglot.parse(sql, read=dialect) if each is not None]
    except sqlglot.errors.SqlglotError as error:
        raise Unscoped(f"not understood: {str(error).splitlines()[0]}") from error
    if len(parsed) != 1:
        raise Unscoped("exactly one statement")
    statement, proof = parsed[0], _Proof(schema)
    if isinstance(statement, (exp.Select, exp.SetOperation)):
        proof.selects(statement)
    elif isinstance(statement, exp.Insert):
        proof.insert(statement)
    elif isinstance(statement, (exp.Update, exp.Delete)):
        proof.change(statement)
    else:
        raise Unscoped(f"{type(statement).__name__} is not allowed")
    proof.nothing_escaped(statement)
    return frozenset(proof.seen)


def _conjuncts(node: exp.Expression | None) -> Iterator[exp.Expression]:
    if isinstance(node, exp.Paren):
        yield from _conjuncts(node.this)
    elif isinstance(node, exp.And):
        yield from _conjuncts(node.this)
        yield from _conjuncts(node.expression)
    elif node is not None:
        yield node


def _is_user(node: exp.Expression) -> bool:
    while isinstance(node, (exp.Paren, exp.Cast)):
        node = node.this
    return isinstance(node, exp.Placeholder) and node.name == "user_id"


def _binds(condition: exp.Expression, owner: str, names: set[str]) -> bool:
    if not isinstance(condition, exp.EQ):
        return False
    pairs = ((condition.this, condition.expression), (condition.expression, condition.this))
    return any(
        isinstance(one, exp.Column) and one.name.lower() == owner and one.table.lower() in names and _is_user(other)
        for one, other in pairs
    )
