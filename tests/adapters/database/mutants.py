"""Statements changed at random, as a hurried author would change them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from sqlglot import exp

Change = Callable[[exp.Expr, random.Random, Sequence[exp.Expr], Sequence[str]], None]


def mutant(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> exp.Expr:
    """Return a copy of `tree` with up to four changes; `corpus` and `tables` are what parts are borrowed from."""
    changed = tree.copy()
    for _ in range(chance.randint(0, 4)):
        chance.choice(CHANGES)(changed, chance, corpus, tables)
    return changed


def _pick(tree: exp.Expr, kind: type[exp.Expr], chance: random.Random) -> exp.Expr | None:
    found = [node for node in tree.find_all(kind) if node.parent is not None]
    return chance.choice(found) if found else None


def _loosen(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if both := _pick(tree, exp.And, chance):
        both.replace(exp.Or(this=both.this.copy(), expression=both.expression.copy()))


def _halve(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if both := _pick(tree, exp.And, chance):
        both.replace(chance.choice([both.this, both.expression]).copy())


def _confuse(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if (one := _pick(tree, exp.Column, chance)) and (other := _pick(tree, exp.Column, chance)):
        one.replace(other.copy())


def _rename(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if table := _pick(tree, exp.Table, chance):
        table.set("this", exp.to_identifier(chance.choice(tables)))


def _rejoin(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if join := _pick(tree, exp.Join, chance):
        join.set("side", chance.choice(["LEFT", None, "RIGHT", "FULL"]))


def _unbind(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if where := _pick(tree, exp.Where, chance):
        where.pop()


def _compare(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if equal := _pick(tree, exp.EQ, chance):
        kind = chance.choice([exp.NEQ, exp.GT, exp.Is])
        equal.replace(kind(this=equal.this.copy(), expression=equal.expression.copy()))


def _borrow(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    other = chance.choice(corpus).find(exp.Where)
    if (where := _pick(tree, exp.Where, chance)) and other:
        where.replace(other.copy())


def _nest(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    other = chance.choice(corpus)
    value = _pick(tree, exp.Literal, chance) or _pick(tree, exp.Placeholder, chance)
    if value and isinstance(other, exp.Select):
        value.replace(exp.Subquery(this=other.copy()))


def _swap(tree: exp.Expr, chance: random.Random, corpus: Sequence[exp.Expr], tables: Sequence[str]) -> None:
    if (one := _pick(tree, exp.Placeholder, chance)) and (other := _pick(tree, exp.Placeholder, chance)):
        first, second = one.copy(), other.copy()
        one.replace(second)
        other.replace(first)


CHANGES: list[Change] = [
    _loosen, _halve, _confuse, _rename, _rejoin, _unbind, _compare, _borrow, _nest, _swap,
]  # fmt: skip
