"""One connection to the file, used by one thread: statements with the authorizer in front."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kira.adapters.database.authorizer import Authorizer, Reach
from kira.adapters.database.catalogue import Statement
from kira.adapters.database.failures import HANDLED, kira_error
from kira.adapters.database.keeper import NEVER
from kira.ports.database import NoRow, Result, Row

Filled = tuple[Statement, Mapping[str, Any], bool]
"""A statement, its parameters, and whether it must give a row."""

BUSY_SECONDS = 5.0
STATEMENTS_KEPT = 512
CACHE_KIB = 4_096
JOURNAL_BYTES = 16_777_216


class Session:
    """Runs statements on one connection."""

    __slots__ = ("_authorizer", "_connection", "_cursor", "_names")

    def __init__(self, connection: sqlite3.Connection, of_tables: Mapping[str, Reach]) -> None:
        """Take `connection` over; `of_tables` is what a write of each table reaches."""
        self._connection = connection
        self._authorizer = Authorizer(of_tables)
        connection.set_authorizer(self._authorizer)
        self._cursor = connection.cursor()
        self._names: dict[Statement, tuple[str, ...]] = {}

    @property
    def is_open(self) -> bool:
        """Say whether a transaction is open; SQLite ends one by itself when the disk is full."""
        return self._connection.in_transaction

    def one(self, one: Filled) -> Result:
        """Run one statement. Raises KiraError, and NoRow when it had to give a row and gave none."""
        statement, params, must = one
        self._authorizer.statement = statement
        cursor = self._cursor
        try:
            cursor.execute(statement.sql, params)
            found = cursor.fetchall()
        except HANDLED as error:
            raise kira_error(error, statement.name) from error
        rows: list[Row] = []
        if found:
            names = self._names.get(statement)
            if names is None:
                names = self._names[statement] = tuple(column[0] for column in cursor.description)
            rows = [dict(zip(names, row, strict=True)) for row in found]
        changes = self._changes(found) if statement.writes else 0
        if must and not rows and not changes:
            raise NoRow(statement.name)
        return Result(rows, changes)

    def all(self, filled: Sequence[Filled]) -> list[Result]:
        """Run `filled` one after the other in the transaction that is open; an error undoes them all, and only them."""
        if len(filled) == 1:  # one statement undoes itself
            return [self.one(filled[0])]
        self.command("SAVEPOINT one")
        try:
            results = [self.one(one) for one in filled]
        except Exception:
            if self.is_open:
                self.command("ROLLBACK TO one")
                self.command("RELEASE one")
            raise
        self.command("RELEASE one")
        return results

    def command(self, sql: str) -> None:
        """Run one of the adapter's own BEGIN, COMMIT, ROLLBACK, SAVEPOINT and RELEASE."""
        self._authorizer.statement = None
        try:
            self._cursor.execute(sql)
        except sqlite3.Error as error:
            raise kira_error(error, sql) from error

    def undo(self) -> None:
        """Roll back what is open, if anything is."""
        if self.is_open:
            self.command("ROLLBACK")

    def close(self) -> None:
        """Close the connection; the last one to close puts the journal into the file."""
        self._cursor.close()
        self._connection.close()

    def _changes(self, found: Sequence[object]) -> int:
        if found:
            return len(found)
        if self._cursor.rowcount >= 0:
            return self._cursor.rowcount
        # The standard library counts no rows of a statement that begins with WITH.
        self._authorizer.statement = None
        return int(self._connection.execute("SELECT changes()").fetchone()[0])


def connect(
    path: Path, *, reads_only: bool, pages_max: int | None = None, busy_s: float = BUSY_SECONDS, folds: bool = True
) -> sqlite3.Connection:
    """Open the file at `path` as a lane needs it; wait at most `busy_s` seconds for others.

    Unless it `folds`, it never writes the journal into the file. Raises sqlite3.Error.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_KEPT)
    settings = [
        f"busy_timeout = {round(busy_s * 1000)}",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"cache_size = -{CACHE_KIB}",
        f"journal_size_limit = {JOURNAL_BYTES}",
    ]
    if reads_only:
        # Triggers that fill the index need a trusted schema in SQLite before 3.42; readers fire none.
        settings += ["query_only = ON", "trusted_schema = OFF"]
    elif pages_max is not None:
        settings.append(f"max_page_count = {pages_max}")
    for setting in settings:
        connection.execute(f"PRAGMA {setting}").close()
    if not folds:
        connection.execute(NEVER).close()
    use_journal(connection)
    return connection


def use_journal(connection: sqlite3.Connection) -> None:
    """Let the file have a write-ahead log. Raises sqlite3.Error.

    SQLite does not wait for other connections here, so two processes that start at once would fail without this.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)
