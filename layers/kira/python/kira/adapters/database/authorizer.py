"""SQLite's own parser as the second witness: what it is about to touch must be what was proven."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kira.adapters.database.catalogue import Statement

INDEX = "messages_fts"
INDEXED = "messages"

_CALM = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
_TOUCHES = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_MACHINE = frozenset(
    {sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION}
)
_BARRED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer"})


@dataclass(frozen=True, slots=True)
class Reach:
    """What SQLite itself touches when one table is written: keys it compares, rows it cascades to, triggers."""

    tables: frozenset[str] = frozenset()
    keys: frozenset[tuple[str, str]] = frozenset()
    triggers: Mapping[str, str] = field(default_factory=dict)


class Asked(NamedTuple):
    """What SQLite asks about: an action, the table, its column (or a function's name), the trigger that does it."""

    action: int
    first: str
    second: str
    via: str


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One column of a reference from `child` to `parent`."""

    child: str
    column: str
    parent: str
    key: str
    cascades: bool


def reaches(connection: sqlite3.Connection) -> dict[str, Reach]:
    """Return the reach of every table of the file behind `connection`."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    triggers = dict(connection.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'").fetchall())
    references = [
        ForeignKey(table, column, parent, key, on_delete == "CASCADE")
        for table in tables
        for parent, column, key, on_delete in connection.execute(
            'SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list(?)', (table,)
        )
    ]
    return {table: _reach(table, references, triggers) for table in tables}


def _reach(table: str, references: Iterable[ForeignKey], triggers: Mapping[str, str]) -> Reach:
    found = {table}
    while more := {one.child for one in references if one.cascades and one.parent in found} - found:
        found |= more
    near = [one for one in references if one.child in found or one.parent in found]
    keys = {(one.child, one.column) for one in near} | {(one.parent, one.key) for one in near}
    own = {name: owner for name, owner in triggers.items() if owner in found}
    return Reach(frozenset(found), frozenset(keys), own)


class Authorizer:
    """Answers SQLite's question, asked once per text and connection, whether a statement may touch something.

    `statement` is the one that is about to run; None stands for the adapter's own BEGIN, COMMIT and SAVEPOINT.
    """

    __slots__ = ("_reaches", "statement")

    def __init__(self, of_tables: Mapping[str, Reach]) -> None:
        """Know the reach of each table."""
        self._reaches = of_tables
        self.statement: Statement | None = None

    def __call__(self, action: int, first: str | None, second: str | None, schema: str | None, via: str | None) -> int:
        """Return SQLITE_OK, or SQLITE_DENY, which makes the statement fail before it runs."""
        allowed = self._may(Asked(action, first or "", second or "", via or ""), schema)
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def _may(self, asked: Asked, schema: str | None) -> bool:
        statement = self.statement
        if statement is None:
            return asked.action in _MACHINE
        if asked.action == sqlite3.SQLITE_FUNCTION:
            return asked.second.lower() not in _BARRED_FUNCTIONS
        if asked.action in _CALM or _opens_index(asked):
            return True
        if asked.action not in _TOUCHES or schema not in (None, "main") or asked.first.startswith("sqlite_"):
            return False
        return statement.tables is None or self._is_proven(asked, statement.tables, statement.target)

    def _is_proven(self, asked: Asked, tables: frozenset[str], target: str | None) -> bool:
        reach = self._reaches.get(target or "", Reach())
        table = asked.first
        if asked.via in reach.triggers:
            return table == reach.triggers[asked.via] or (table == INDEX and asked.action == sqlite3.SQLITE_INSERT)
        if table.startswith(INDEX + "_"):
            return INDEX in tables or INDEXED in reach.tables
        if asked.action == sqlite3.SQLITE_READ:
            return table in tables or (table, asked.second) in reach.keys
        return table == target or (asked.action == sqlite3.SQLITE_DELETE and table in reach.tables)


def _opens_index(asked: Asked) -> bool:
    # FTS5 asks for these when a connection first opens the index; nothing but row numbers comes out of them.
    if asked.action == sqlite3.SQLITE_PRAGMA:
        return asked.first == "data_version" and not asked.second
    if asked.first != "sqlite_master":
        return False
    return asked.action == sqlite3.SQLITE_UPDATE or (asked.action == sqlite3.SQLITE_READ and asked.second == "ROWID")
