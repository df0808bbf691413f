"""Statements as PostgreSQL reads them: numbered parameters that state their type, and demands that the server keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from kira.adapters.database.catalogue import Statement
from kira.domain.errors import Invalid, KiraError

NUMBERS = frozenset(
    {
        "background", "cancelled", "completion_tokens", "ended_at", "expires_at", "failed",
        "free", "height", "horizon", "interval", "items", "model_given", "newest", "not_before", "now",
        "patience", "position", "prompt_tokens", "since", "slots", "stale", "tokens", "tolerance", "until",
        "waiting_max", "widgets_max", "width",
    }
)  # fmt: skip
"""Parameters that are whole numbers; all others are text. A parameter that is NULL has no type of its own."""

_TOKENS = re.compile(r"'(?:[^']|'')*'|::\w+|:([a-z_]+)")
_RETURNS = re.compile(r"\bRETURNING\b|^\s*SELECT\b", re.IGNORECASE)
_BYTES_8 = 2**63


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement's text with `$1`, the names of its parameters in their order, and whether its rows are its own."""

    sql: bytes
    names: tuple[str, ...]
    gives_rows: bool


@lru_cache(maxsize=4096)
def prepared(statement: Statement, *, must: bool, items: int | None = None) -> Prepared:
    """Return `statement` for the server; with `must` the server undoes the transaction when it gives no row.

    The number of `items` stands in the text: a server that does not know it plans for a tenth of the table.
    """
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        if name == "items" and items is not None:
            return str(int(items))
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}::{'bigint' if name in NUMBERS else 'text'}"

    sql = _TOKENS.sub(number, statement.sql)
    gives_rows = not statement.writes or bool(_RETURNS.search(statement.sql))
    if must:
        sql = sql if gives_rows else f"{sql} RETURNING 1 AS one"
        # A left join: the demand stands on the side that is read in any case.
        demand = f"SELECT must(count(*), '{statement.name}') AS kept FROM given"  # noqa: S608 - the name of a file's statement
        front = ("WITH given AS (", sql, "), demand AS MATERIALIZED (", demand, ")")
        sql = " ".join((*front, "SELECT given.* FROM demand LEFT JOIN given ON demand.kept"))
    return Prepared(sql.encode(), tuple(names), gives_rows)


def values(names: tuple[str, ...], params: Mapping[str, Any], statement: str) -> list[object]:
    """Return the values of `names` as the server takes them. Raises Invalid for what no database can store."""
    try:
        return [_value(params[name]) for name in names]
    except KeyError:
        raise KiraError(f"The database could not run {statement}.") from None


def items_of(params: Mapping[str, Any]) -> int | None:
    """Return how many items are wanted, where that is a number."""
    items = params.get("items")
    return items if type(items) is int and 0 <= items < _BYTES_8 else None


def _value(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        if not -_BYTES_8 <= value < _BYTES_8:
            raise Invalid("A number is too large to be stored.")
        return value
    if isinstance(value, str):
        if "\x00" in value:
            raise Invalid("A text contains a NUL character, which cannot be stored.")
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise Invalid("A text contains half of a surrogate pair, which is not text.")
        return value
    if value is None:
        return None
    raise KiraError("The database was given a value of an unknown type.")
