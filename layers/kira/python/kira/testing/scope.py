"""The rules by which a statement is shown to touch only rows of `:user_id`; whatever is unclear is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from kira.testing.binding import Schema, Solver, Sources, is_user
from kira.testing.sql_shape import Unscoped, parse

__all__ = ["Proof", "Schema", "Unscoped", "prove"]

_SYSTEM_NAMES = re.compile(r"(sqlite|pg|pragma|information|json|generate|fts\d|rtree|dbstat|bytecode|tables_used).*")
_ROW_NUMBERS = frozenset({"rowid", "oid", "_rowid_", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
_INDEX_COLUMNS = frozenset({"rank", "owner"})


@dataclass(frozen=True, slots=True)
class Proof:
    """The tables that a statement names, and the one it writes."""

    tables: frozenset[str]
    target: str | None


class _Prover:
    def __init__(self, schema: Schema, statement: exp.Expr) -> None:
        self.schema = schema
        self.statement = statement
        self.named: set[str] = set()
        self._reached: set[int] = set()
        self._common = self._common_tables()

    def prove(self) -> str | None:
        """Prove the whole statement; return the table it writes."""
        target = None
        if isinstance(self.statement, exp.Insert):
            target = self._insert(self.statement)
        elif isinstance(self.statement, (exp.Update, exp.Delete)):
            target = self._change(self.statement)
        elif not isinstance(self.statement, (exp.Select, exp.SetOperation)):
            raise Unscoped(f"{type(self.statement).__name__} is not allowed")
        for select in self.statement.find_all(exp.Select):
            self._select(select)
        for column in self.statement.find_all(exp.Column):
            self._no_row_number(column)
        for table in self.statement.find_all(exp.Table):
            if id(table) not in self._reached:
                raise Unscoped(f"{table.name} stands where it was not reached")
        return target

    # Names

    def _common_tables(self) -> dict[str, exp.CTE]:
        for clause in self.statement.find_all(exp.With):
            if clause.parent is not self.statement:
                raise Unscoped("WITH may stand only at the front")
        found: dict[str, exp.CTE] = {}
        for common in self.statement.find_all(exp.CTE):
            name = common.alias.lower()
            if name in found or name in self.schema.taken or _SYSTEM_NAMES.fullmatch(name):
                raise Unscoped(f"WITH may not use the name {name!r}")
            found[name] = common
        return found

    def _is_common(self, name: str, node: exp.Expr) -> bool:
        """Say whether `name` is a WITH table there: defined before, or itself where the WITH is recursive."""
        if name not in self._common:
            return False
        home = node.find_ancestor(exp.CTE)
        if home is None:
            return True
        order = list(self._common.values())
        at, here = order.index(self._common[name]), next(i for i, each in enumerate(order) if each is home)
        recursive = bool(home.parent and home.parent.args.get("recursive"))
        return at < here or (at == here and recursive)

    def _table(self, node: exp.Table) -> str | None:
        self._reached.add(id(node))
        name = node.name.lower()
        if name in self.schema.tenant or name in self.schema.indexes:
            self.named.add(name)
            return name
        if self._is_common(name, node):
            return None
        raise Unscoped(f"{name!r} is no table of one user")

    def _add(self, sources: Sources, node: exp.Expr) -> str:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Anonymous):
            self._reached.add(id(node))  # its name was checked with the shape
            table, alias = None, (node.alias or str(node.this.this)).lower()
        elif isinstance(node, exp.Table):
            table, alias = self._table(node), (node.alias or node.name).lower()
        elif isinstance(node, exp.Subquery) and node.alias:
            table, alias = None, node.alias.lower()
        else:
            raise Unscoped(f"{type(node).__name__} is not understood as a source")
        if alias in sources.tables:
            raise Unscoped(f"{alias!r} stands for two sources")
        sources.tables[alias] = table
        return alias

    def _joined(self, sources: Sources, joins: Iterable[exp.Join]) -> None:
        for join in joins:
            alias = self._add(sources, join.this)
            conditions = list(_conjuncts(join.args.get("on")))
            if (join.side or "").upper() == "LEFT":
                sources.outer[alias] = conditions
            else:
                sources.everywhere += conditions

    # Reading

    def _select(self, select: exp.Select) -> None:
        sources = Sources(everywhere=list(_conjuncts(_of_where(select))))
        start = select.args.get("from_")
        if start is not None:
            self._add(sources, start.this)
            if start.this.args.get("joins"):
                raise Unscoped("nested joins are not understood")
        self._joined(sources, select.args.get("joins") or [])
        self._bound(sources)

    def _bound(self, sources: Sources) -> None:
        bound = Solver(self.schema, sources).solve()
        for alias, table in sources.tables.items():
            if table is not None and alias not in bound:
                raise Unscoped(f"{table} AS {alias} is not bound to :user_id")

    def _no_row_number(self, column: exp.Column) -> None:
        """Row numbers, ranks and the like depend on everybody's rows, so they may join an index and do nothing else."""
        name, alone = column.name.lower(), not column.table
        indexes = {alias for alias in self._index_aliases() if alias == column.table.lower()}
        other = None
        if isinstance(column.parent, exp.EQ):
            other = column.parent.expression if column.parent.this is column else column.parent.this
        if name == "rowid" and not alone and isinstance(other, exp.Column) and other.name.lower() == "rowid":
            return
        if isinstance(column.parent, exp.Match) and column.parent.this is column and name in self.schema.indexes:
            return
        if name in _ROW_NUMBERS or indexes or (alone and (name in _INDEX_COLUMNS or name in self.schema.indexes)):
            raise Unscoped(f"{column.sql()} tells about rows of others")

    def _index_aliases(self) -> Iterator[str]:
        for table in self.statement.find_all(exp.Table):
            if table.name.lower() in self.schema.indexes:
                yield (table.alias or table.name).lower()

    # Writing

    def _target(self, node: exp.Expr) -> tuple[str, str, str]:
        table = self._table(node) if isinstance(node, exp.Table) else None
        if table is None or table not in self.schema.tenant:
            raise Unscoped("only tables of users can be written")
        return table, (node.alias or table).lower(), self.schema.tenant[table]

    def _insert(self, node: exp.Insert) -> str:
        head = node.this
        if not isinstance(head, exp.Schema):
            raise Unscoped("INSERT must name its columns")
        table, alias, owner = self._target(head.this)
        columns = [column.name.lower() for column in head.expressions]
        if columns.count(owner) != 1 or _ROW_NUMBERS & set(columns):
            raise Unscoped(f"INSERT must set {owner} once, and no row number")
        for row in _rows(node.expression):
            # A star would move every later value to another column.
            if len(row) != len(columns) or any(map(_is_star, row)):
                raise Unscoped("INSERT must give one value for each column")
            if not is_user(row[columns.index(owner)].unalias()):
                raise Unscoped(f"{owner} is not :user_id")
        self._conflict(node.args.get("conflict"), alias, owner)
        return table

    def _conflict(self, conflict: exp.Expr | None, alias: str, owner: str) -> None:
        if conflict is None or not conflict.expressions:
            return
        _check_set(conflict.expressions, owner)
        keys = {key.name.lower() for key in conflict.args.get("conflict_keys") or []}
        mine = any(_binds(each, alias, owner) for each in _conjuncts(_of_where(conflict)))
        if owner not in keys and not mine:
            raise Unscoped("ON CONFLICT DO UPDATE may change another user's row")

    def _change(self, node: exp.Update | exp.Delete) -> str:
        table, alias, owner = self._target(node.this)
        if node.this.args.get("joins"):
            raise Unscoped("joins of the changed table are not understood")
        if isinstance(node, exp.Update):
            _check_set(node.expressions, owner)
        sources = Sources({alias: table}, list(_conjuncts(_of_where(node))))
        beside = node.args.get("from_")
        if beside is not None:
            self._add(sources, beside.this)
            self._joined(sources, beside.this.args.get("joins") or [])
        self._bound(sources)
        return table


def prove(sql: str, schema: Schema, dialect: str) -> Proof:
    """Return what `sql` names and writes; raises Unscoped unless it was shown to stay within `:user_id`."""
    prover = _Prover(schema, parse(sql, dialect))
    target = prover.prove()
    return Proof(frozenset(prover.named), target)


def _of_where(node: exp.Expr) -> exp.Expr | None:
    where = node.args.get("where")
    return where.this if where is not None else None


def _conjuncts(node: exp.Expr | None) -> Iterator[exp.Expr]:
    if isinstance(node, exp.Paren):
        yield from _conjuncts(node.this)
    elif isinstance(node, exp.And):
        yield from _conjuncts(node.this)
        yield from _conjuncts(node.expression)
    elif node is not None:
        yield node


def _rows(source: exp.Expr | None) -> list[list[exp.Expr]]:
    if isinstance(source, exp.Values) and all(isinstance(row, exp.Tuple) for row in source.expressions):
        return [row.expressions for row in source.expressions]
    if isinstance(source, exp.Select):
        return [source.expressions]
    raise Unscoped("this form of INSERT is not understood")


def _check_set(assignments: Iterable[exp.Expr], owner: str) -> None:
    for each in assignments:
        column = each.this if isinstance(each, exp.EQ) else None
        if not isinstance(column, exp.Column) or column.name.lower() in (owner, *_ROW_NUMBERS):
            raise Unscoped("SET of the owner, of a row number, or of several columns at once")


def _is_star(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))


def _binds(condition: exp.Expr, alias: str, owner: str) -> bool:
    """Say whether `condition` is `alias.owner = :user_id`; an unqualified name could mean `excluded`."""
    if not isinstance(condition, exp.EQ):
        return False
    pairs = ((condition.this, condition.expression), (condition.expression, condition.this))
    return any(
        isinstance(one, exp.Column) and (one.table.lower(), one.name.lower()) == (alias, owner) and is_user(other)
        for one, other in pairs
    )
