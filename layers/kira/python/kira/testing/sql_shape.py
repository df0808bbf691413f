"""The part of SQL that the prover understands: few characters, few kinds of nodes, nothing else."""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp


class Unscoped(Exception):
    """The statement was not shown to stay within one user."""


# Quotes, brackets, comments, escapes and casts are where two parsers read one text differently, so none may occur.
_CHARACTERS = re.compile(r"[\w\s.,()':=<>!+\-*/%|]*", re.ASCII)
_LITERAL = re.compile(r"'[^']*'")
_BARRED = re.compile(r"--|/\*|\*/|::|\w'|'\w|:(?![a-z_])")

_FLAGS = {"negate", "typed", "safe", "big_int", "recursive", "is_string", "nested", "distinct", "over"}
_UNARY, _BINARY, _LIST = {"this"}, {"this", "expression"}, {"expressions"}
_SHAPE: dict[type[exp.Expr], set[str]] = {
    exp.Select: {"expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "with_"},
    exp.Union: {"this", "expression", "order", "limit", "offset", "with_"},
    exp.Subquery: {"this", "alias"},
    exp.From: _UNARY,
    exp.Join: {"this", "on", "side", "kind"},
    exp.Table: {"this", "alias", "joins"},
    exp.TableAlias: _UNARY,
    exp.With: _LIST,
    exp.CTE: {"this", "alias"},
    exp.Insert: {"this", "expression", "conflict", "returning", "with_"},
    exp.Schema: {"this", "expressions"},
    exp.Values: _LIST,
    exp.OnConflict: {"conflict_keys", "expressions", "action", "where"},
    exp.Update: {"this", "expressions", "from_", "where", "returning", "with_"},
    exp.Delete: {"this", "where", "returning", "with_"},
    exp.Returning: _LIST,
    exp.Where: _UNARY,
    exp.Group: _LIST,
    exp.Having: _UNARY,
    exp.Order: _LIST,
    exp.Ordered: {"this", "desc", "nulls_first"},
    exp.Limit: {"expression"},
    exp.Offset: {"expression"},
    exp.Distinct: _LIST,
    exp.Column: {"this", "table"},
    exp.Identifier: _UNARY,
    exp.Placeholder: _UNARY,
    exp.Literal: _UNARY,
    exp.Var: _UNARY,
    exp.Star: set(),
    exp.Null: set(),
    exp.Alias: {"this", "alias"},
    exp.Tuple: _LIST,
    exp.Paren: _UNARY,
    exp.In: {"this", "expressions", "query"},
    exp.Exists: _UNARY,
    exp.Case: {"this", "ifs", "default"},
    exp.If: {"this", "true", "false"},
    exp.Cast: {"this", "to"},
    exp.DataType: _UNARY,
    exp.Window: {"this", "partition_by", "order"},
    exp.Match: {"this", "expression"},
    exp.Coalesce: {"this", "expressions"},
    exp.Count: {"this", "expressions"},
    exp.Nullif: _BINARY,
    **dict.fromkeys((exp.Not, exp.Neg, exp.Sum, exp.Min, exp.Max, exp.Avg, exp.Abs, exp.Length, exp.Lower), _UNARY),
    **dict.fromkeys((exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.Like), _BINARY),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.DPipe), _BINARY),
    exp.RowNumber: set(),
    exp.Anonymous: {"this", "expressions"},
}
FUNCTIONS = frozenset({"messages_found"})
"""Functions of the schema's own that stay within the user of the transaction by themselves."""
_TYPES = {exp.DType.TEXT, exp.DType.BIGINT, exp.DType.INT}
_READS = (exp.Select, exp.SetOperation)


def parse(sql: str, dialect: str) -> exp.Expr:
    """Return the one statement in `sql` as a tree of known nodes; raises Unscoped for anything else."""
    outside = _LITERAL.sub(" ", sql)
    if not _CHARACTERS.fullmatch(sql) or _BARRED.search(_LITERAL.sub("''", sql)) or "'" in outside:
        raise Unscoped("quoted names, comments, escapes, casts with :: and foreign characters are not understood")
    try:
        parsed = [each for each in sqlglot.parse(sql, read=dialect) if each is not None]
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise Unscoped(f"not understood: {str(error).splitlines()[0]}") from error
    if len(parsed) != 1:
        raise Unscoped("exactly one statement")
    statement: exp.Expr = parsed[0]
    for node in statement.walk():
        _check(node)
    return statement


def _check(node: exp.Expr) -> None:
    allowed = _SHAPE.get(type(node))
    if allowed is None:
        raise Unscoped(f"{type(node).__name__} is not understood")
    extra = {key for key, value in node.args.items() if value not in (None, [], False, "")} - allowed - _FLAGS
    if extra:
        raise Unscoped(f"{type(node).__name__} with {', '.join(sorted(extra))} is not understood")
    if isinstance(node, exp.Anonymous) and str(node.this).lower() not in FUNCTIONS:
        raise Unscoped(f"the function {node.this} is not understood")
    if isinstance(node, exp.DataType) and node.this not in _TYPES:
        raise Unscoped(f"the type {node.this} is not understood")
    if isinstance(node, (exp.Subquery, exp.CTE)) and not isinstance(node.this, _READS):
        raise Unscoped("only a SELECT may stand in parentheses or in WITH")
    if isinstance(node, exp.Join):
        _check_join(node)


def _check_join(node: exp.Join) -> None:
    side, kind = (node.side or "").upper(), (node.kind or "").upper()
    if side not in ("", "LEFT") or kind not in ("", "INNER", "CROSS", "OUTER"):
        raise Unscoped(f"{node.side} {node.kind} joins are not understood")
