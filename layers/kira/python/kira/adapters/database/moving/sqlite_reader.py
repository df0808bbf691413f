"""The SQLite side of a move, as one reading transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from kira.adapters.database.moving import lines
from kira.adapters.database.moving.sides import ROWS_A_BLOCK, RUNNING, Part, divide
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

    def parts(self, table: Table, rows: int) -> list[Part]:
        """Divide `table` into parts of about `rows` rows; none when it is empty."""
        asked = ", ".join(f"(SELECT {each} FROM {table.name})" for each in ("COUNT(*)", "MIN(rowid)", "MAX(rowid)"))  # noqa: S608
        count, first, last = self.connection.execute(f"SELECT {asked}").fetchone()
        return divide(first, last, -(-count // rows)) if count else []

    def blocks(self, table: Table, columns: Sequence[str], part: Part | None = None) -> Iterator[bytes]:
        """Yield the rows of `part`, or all, as lines."""
        # As they lie, not in the order of the key: a file of many users would be read criss-cross.
        within, places = (" WHERE rowid BETWEEN ? AND ?", (part.first, part.last)) if part else ("", ())
        values = ", ".join(self._value(table, column) for column in columns)
        cursor = self.connection.execute(f"SELECT {values} FROM {table.name}{within}", places)  # noqa: S608
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
        return Table(name, {column.decode(): kind.decode().lower() for _, column, kind, *_ in found})


class SqliteSource(SqliteReader):
    """Reads one moment of a file, and knows whether the file is still as it was then."""

    def __init__(self, path: Path, connection: sqlite3.Connection, watching: Watching) -> None:
        """Read the file at `path` on `connection`, which `watching` is older than."""
        super().__init__(connection)
        self.path = path
        self._watching = watching

    def is_unchanged(self) -> bool:
        """Say whether nobody has written to the file since; any thread may ask."""
        return self._watching.is_unchanged()

    def close(self) -> None:
        """End the reading and the watching."""
        super().close()
        self._watching.close()


class Watching:
    """A connection outside of any transaction, on which it shows that others have written."""

    def __init__(self, path: Path) -> None:
        """Watch the file at `path` from now on."""
        self._connection = _connect(path, check_same_thread=False)
        self._version = self._found()

    def is_unchanged(self) -> bool:
        """Say whether nobody has written since; not while somebody writes."""
        try:
            return self._found() == self._version
        except sqlite3.OperationalError:
            return False

    def close(self) -> None:
        """Watch no longer."""
        self._connection.close()

    def _found(self) -> object:
        return self._connection.execute("PRAGMA data_version").fetchone()


def open_source(path: Path) -> SqliteSource:
    """Open the file at `path` to read one moment of it; others may go on writing. Raises KiraError."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    with ExitStack() as opened:
        try:
            watching = opened.enter_context(closing(Watching(path)))
            connection = opened.enter_context(closing(_connect(path)))
            missing = lacking(connection, path)
            if missing:
                lacks = f"it lacks schema step {missing[0].number}"
                raise Conflict(f"{path} is of an older Kira ({lacks}). Start this Kira on it once.")
            connection.execute("BEGIN")
            if is_unfinished(connection):
                raise Conflict(f"{path} is itself an unfinished migration. Finish it first, or name another FROM.")
        except sqlite3.DatabaseError as error:
            raise Invalid(f"{path} cannot be read ({error}). Name a file of Kira's.") from None
        opened.pop_all()
    return SqliteSource(path, connection, watching)


def _connect(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=check_same_thread)
