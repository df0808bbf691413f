"""Keeps the journal when Kira's connections close, for a program that copies it first, as Litestream does."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

NEVER = "PRAGMA wal_autocheckpoint = 0"
"""Lets a connection write nothing from the journal into the file by itself."""


class Keeper:
    """A connection that may not write the file, is opened first and closed last.

    SQLite puts the journal into the file when the last connection closes, unless that one cannot write. Python has a
    switch for it from 3.12 on; this works with every version.
    """

    def __init__(self, path: Path) -> None:
        """Hold the file at `path`, if it is there."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self.hold()

    def hold(self) -> None:
        """Look into the file: after the first look at one with a journal nobody else is the last to close."""
        if not self._path.is_file():
            return
        if self._connection is None:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        # A damaged file is told of by the connections that work with it.
        with suppress(sqlite3.DatabaseError):
            self._connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()

    def close(self) -> None:
        """Let the file go; what is in the journal stays there."""
        if self._connection is not None:
            self._connection.close()
