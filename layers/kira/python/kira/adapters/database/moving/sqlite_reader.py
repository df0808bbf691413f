"""The SQLite side of a move, as one reading transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from kira.adapters.database.moving import lines
from kira.adapters.database.moving.sides import ROWS_A_BLOCK, RUNNING, Key
from kira.adapters.database.moving.tables import Table
from kira.adapters.database.schema import is_unfinished, lacking
from kira.adapters.database.unfinished import UNFINISHED
from kira.domain.errors import Conflict, Invalid, NotFound

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_fts%'"


class SqliteReader:
    """Reads as bytes, so that no text is decoded and encoded on its way."""

    kind = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read on `connection`, whatever its transaction sees."""
        connection.text_factory = bytes
        self.connection = connection

    def tables(self) -> dict[str, Table]:
        """Return the tables of Kira's."""
        names = [name.decode() for (name,) in self.connection.execute(_TABLES)]
        return {name: self._table(name) for name in names if name != UNFINISHED}

    def summary(self, table: Table) -> list[int]:
        """Return the number of rows, and a sum over each column of numbers."""
        sums = "".join(f", COALESCE(SUM({column} % 1000003), 0)" for column in table.numbers)
        row = self.connection.execute(f"SELECT COUNT(*){sums} FROM {table.name}").fetchone()  # noqa: S608
        return [int(value) for value in row]

    def running(self) -> int:
        """Return how many runs are under a lease."""
        return int(self.connection.execute(RUNNING).fetchone()[0])

    def blocks(
        self, table: Table, columns: Sequence[str], *, after: Key | None = None, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield rows as lines, with a `limit` in the order they lie in and behind the one with the key `after`."""
        # Not in the order of the key: a file of many users would be read criss-cross.
        last = f"SELECT rowid FROM {table.name} WHERE ({', '.join(table.key)}) = ({', '.join('?' * len(table.key))})"  # noqa: S608
        behind = f" WHERE rowid > ({last})" if after else ""
        order = f" ORDER BY rowid LIMIT {limit}" if limit else ""
        values = ", ".join(self._value(table, column) for column in columns)
        cursor = self.connection.execute(f"SELECT {values} FROM {table.name}{behind}{order}", after or ())  # noqa: S608
        while rows := cursor.fetchmany(ROWS_A_BLOCK):
            yield lines.block(rows)

    def close(self) -> None:
        """End the reading."""
        self.connection.close()

    def _value(self, table: Table, column: str) -> str:
        value = column if table.columns[column] == "text" else f"CAST({column} AS TEXT)"
        return f"COALESCE({value}, x'{lines.NULL.hex()}')"

    def _table(self, name: str) -> Table:
        found = self.connection.execute(f"PRAGMA table_info({name})").fetchall()
        columns = {column.decode(): kind.decode().lower() for _, column, kind, *_ in found}
        key = [(place, column.decode()) for _, column, _, _, _, place in found if place]
        return Table(name, columns, tuple(column for _, column in sorted(key)))


def open_source(path: Path) -> SqliteReader:
    """Open the file at `path` to read one moment of it; others may go on writing. Raises KiraError."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        missing = lacking(connection, path)
        if missing:
            told = f"{path} is of an older Kira (it lacks schema step {missing[0].number}). Start this Kira on it once."
            raise Conflict(told)
        connection.execute("BEGIN")
        reader = SqliteReader(connection)
        if is_unfinished(connection):
            raise Conflict(f"{path} is itself an unfinished migration. Finish it first, or name another FROM.")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Invalid(f"{path} cannot be read ({error}). Name a file of Kira's.") from None
    except BaseException:
        connection.close()
        raise
    return reader
