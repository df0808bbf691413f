"""SQLite's own parser as a second witness: a statement may touch only what its proof names."""

from __future__ import annotations

import sqlite3

FULL_TEXT = "messages_fts"
_TABLE_ACTIONS = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_FREE_ACTIONS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
    }
)


class Authorizer:
    """Refuses, while a statement is compiled, everything that its proof does not name.

    SQLite asks once per text and connection; afterwards the compiled statement is reused.
    """

    def __init__(self, followers: dict[str, frozenset[str]]) -> None:
        """Let writes reach `followers`: the tables that follow a table by foreign key or trigger."""
        self._followers = followers
        self.allowed: frozenset[str] | None = None
        self.writes = False

    def expect(self, tables: frozenset[str] | None, *, writes: bool) -> None:
        """Say which tables the next statement may name; None allows all tables of the schema."""
        self.allowed = tables
        self.writes = writes

    def __call__(
        self, action: int, first: str | None, second: str | None, schema: str | None, inner: str | None
    ) -> int:
        """Answer SQLite: may this be done?"""
        if action in _FREE_ACTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA and first == "data_version":
            return sqlite3.SQLITE_OK  # FTS5 asks it to see whether another connection wrote
        if action not in _TABLE_ACTIONS or first is None:
            return sqlite3.SQLITE_DENY
        if self.allowed is None or first in self.allowed or self._follows(first):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    def _follows(self, table: str) -> bool:
        """Say whether `table` holds the index of an allowed one, or is written behind an allowed one."""
        allowed = self.allowed or frozenset()
        if table.startswith(FULL_TEXT) and FULL_TEXT in allowed:
            return True
        return self.writes and any(table in self._followers.get(each, ()) for each in allowed)


def followers_of(connection: sqlite3.Connection) -> dict[str, frozenset[str]]:
    """Return for each table those that a change of it reaches: children by foreign key, and the full-text index."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    direct: dict[str, set[str]] = {table: set() for table in tables}
    for table in tables:
        for row in connection.execute('SELECT "table" FROM pragma_foreign_key_list(?)', (table,)):
            direct.setdefault(row[0], set()).add(table)
    full_text = {table for table in tables if table.startswith(FULL_TEXT)}
    if "messages" in direct:
        direct["messages"] |= full_text
    reached = {}
    for table in tables:
        seen, todo = set(), [table]
        while todo:
            for child in direct.get(todo.pop(), ()):
                if child not in seen:
                    seen.add(child)
                    todo.append(child)
        # A child also reads its parents to check its keys.
        parents = {parent for parent, children in direct.items() if table in children}
        reached[table] = frozenset(seen | parents)
    return reached
