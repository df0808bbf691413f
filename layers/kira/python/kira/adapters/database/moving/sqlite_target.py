"""A SQLite file as the target of a move."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from kira.adapters.database import places, schema
from kira.adapters.database.backup import damage
from kira.adapters.database.moving.lines import fields
from kira.adapters.database.moving.sides import Part, Phase, note, noted
from kira.adapters.database.moving.sqlite_reader import SqliteReader
from kira.adapters.database.moving.tables import NOT_MOVED, SEARCH_TEXT, SEARCHED, Plan
from kira.adapters.database.unfinished import UNFINISHED
from kira.domain.errors import KiraError, WrongSetting
from kira.domain.texts import searchable

_SOURCE = "source"
_SETTINGS = ("foreign_keys = OFF", "synchronous = NORMAL", "locking_mode = EXCLUSIVE", "cache_size = -65536")


class SqliteTarget:
    """Writes on one connection, which nobody else has beside it."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        """Look at the file at `path`, which need not be there. Raises WrongSetting."""
        self.path = path
        self._connection: sqlite3.Connection | None = None
        if path.exists():
            places.check_file(path)
            self._open()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection to a file that is there."""
        if self._connection is None:
            raise KiraError(f"{self.path} was not made yet.")
        return self._connection

    @property
    def reader(self) -> SqliteReader:
        """What is there now."""
        return SqliteReader(self.connection)

    def begun(self) -> str | None:
        """Return what the unfinished move here comes from; None when there is none."""
        if self._connection is None or not schema.is_unfinished(self.connection):
            return None
        return self._read(_SOURCE) or ""

    def users(self) -> int | None:
        """Return how many users are there; None when there is not even a schema."""
        if not self._has_schema():
            return None
        self.connection.text_factory = str
        missing = schema.lacking(self.connection, self.path)
        if missing:
            raise WrongSetting(f"{self.path} is of an older Kira. Start this Kira on it once, or name another.")
        return int(self.connection.execute("SELECT COUNT(*) FROM users").fetchone()[0])

    def _has_schema(self) -> bool:
        """Say whether there is one: who was killed while making it has left a file with nothing in it."""
        if self._connection is None:
            return False
        return self.connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None

    def make_ready(self) -> str | None:
        """Make a file with a schema; an address is not needed for one."""
        has_schema = self._has_schema()
        self.close()
        places.check(self.path.parent)
        if not has_schema:
            schema.bring_up_to_date(self.path)
        self._open()
        self._lock()
        return None

    def begin(self, mark: str, parts: Mapping[str, Sequence[Part]]) -> None:
        """Mark the file as unfinished, empty it and note what is to be stored."""
        with self._transaction():
            self.connection.execute(f"CREATE TABLE IF NOT EXISTS {UNFINISHED} (part TEXT PRIMARY KEY, state TEXT)")
            self.connection.execute(f"DELETE FROM {UNFINISHED}")  # noqa: S608 - a constant
            for name in self.reader.tables().keys() - NOT_MOVED:
                self.connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a table of the schema
            todo = [(note(name, part), "") for name, found in parts.items() for part in found]
            self.connection.executemany(f"INSERT INTO {UNFINISHED} VALUES (?, ?)", [(_SOURCE, mark), *todo])  # noqa: S608

    def left(self, plan: Plan) -> tuple[list[Part], int]:
        """Return the parts of a table that are still to be stored, and the number of rows that are."""
        query = f"SELECT part, state FROM {UNFINISHED} WHERE part LIKE '{note(plan.table.name)}%'"  # noqa: S608
        with closing(self.connection.cursor()) as cursor:
            return noted((bytes(name).decode(), bytes(rows).decode()) for name, rows in cursor.execute(query))

    def write(self, plan: Plan, part: Part, blocks: Iterator[bytes]) -> int:
        """Store the rows of `part` and that they are, both or neither; return how many they were."""
        # A PostgreSQL keeps no text for searches, so it is made of the content again.
        searched = SEARCH_TEXT in plan.table.columns and SEARCH_TEXT not in plan.columns
        columns = plan.columns + ((SEARCH_TEXT,) if searched else ())
        sql = f"INSERT INTO {plan.table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        content = plan.columns.index(SEARCHED[plan.table.name]) if searched else -1
        copied = 0
        with self._transaction():
            for block in blocks:
                rows = [fields(line) for line in block.split(b"\n")[:-1]]
                copied += len(rows)
                if searched:
                    rows = [[*row, searchable(row[content] or "")] for row in rows]
                self.connection.executemany(sql, rows)
            stored = f"UPDATE {UNFINISHED} SET state = ? WHERE part = ?"  # noqa: S608 - a constant
            self.connection.execute(stored, (str(copied), note(plan.table.name, part)))
        return copied

    def settle(self, plans: Sequence[Plan], phase: Phase) -> None:  # noqa: ARG002 - its indexes are there
        """Check the file and every reference; indexes and words were made with the rows."""
        with phase("Checking the file") as tell:
            tell(0, 1)
            self.connection.text_factory = str
            found = damage(self.connection)
        if found:
            raise KiraError(
                f"{self.path} did not come out whole: {found}. FROM is untouched; say --anew to begin again."
            )

    def set_aside(self) -> str:
        """Rename the file, so that there is none any more; return its new name. Raises WrongSetting and OSError."""
        try:
            self.connection.execute("PRAGMA journal_mode = DELETE")  # puts the journal into the file
        except sqlite3.OperationalError:
            raise WrongSetting(f"Another program has {self.path} open. Close it and try again.") from None
        self.close()
        kept = self.path.with_name(f"kira-replaced-{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}.sqlite")
        self.path.rename(kept)
        return str(kept)

    def finish(self) -> None:
        """Take the mark away: from now on Kira uses it."""
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute(f"DROP TABLE {UNFINISHED}")

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=schema.BUSY_SECONDS)
        try:
            for setting in _SETTINGS[:2]:
                self._connection.execute(f"PRAGMA {setting}")
            self._connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            self.close()
            raise WrongSetting(f"{self.path} cannot be used: {error}. Name another file.") from None

    def _lock(self) -> None:
        for setting in _SETTINGS[2:]:
            self.connection.execute(f"PRAGMA {setting}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:  # SQLite ends it by itself when the disk is full
                self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _read(self, part: str) -> str | None:
        with closing(self.connection.cursor()) as cursor:
            query = f"SELECT CAST(state AS BLOB) FROM {UNFINISHED} WHERE part = ?"  # noqa: S608 - a constant
            row = cursor.execute(query, (part,)).fetchone()
        return row[0].decode() if row else None
