"""Copies of a database file: consistent while it runs, checked before they are trusted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

PAGES_A_STEP = 1_000
OPERATIONS_A_LOOK = 50_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """What a file holds: `damage` is None when it is whole; only then are there `counts` and the newest `step`."""

    damage: str | None
    step: int | None
    counts: dict[str, int]


def snapshot(
    path: Path, target: Path, progress: Progress | None = None, *, pages: int = PAGES_A_STEP, folds: bool = True
) -> None:
    """Copy the database at `path`, which may be in use, to `target`, which appears only when it is whole.

    `progress` is told pages done and pages in all, after every step of `pages`. Unless it `folds`, the journal is left
    as it is, also where no other program has the file open. Raises sqlite3.Error and OSError.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        os.close(descriptor)
        with (
            closing(sqlite3.connect(_address(path, "rw" if folds else "ro"), uri=True, isolation_level=None)) as source,
            closing(sqlite3.connect(part)) as copy,
        ):

            def told(_: int, remaining: int, total: int) -> None:
                if progress is not None:
                    progress(total - remaining, total)

            # One reading transaction for the whole copy: without it every write of another program begins it again.
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=pages, progress=told, sleep=0.005)
            copy.execute("PRAGMA journal_mode = DELETE")
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def check(path: Path, stopped: Callable[[], bool] | None = None) -> Check:
    """Look a file over: whole, of which step, how many rows.

    Raises sqlite3.Error when it is no database, and when `stopped` says to end.
    """
    with closing(sqlite3.connect(_address(path, "ro"), uri=True)) as connection:
        connection.set_progress_handler(stopped, OPERATIONS_A_LOOK)
        found = damage(connection)
        if found is not None:
            return Check(found, None, {})  # a damaged file is not to be counted: reading it may fail anywhere
        tables = counts(connection)
        step = None
        if "schema_steps" in tables:
            step = connection.execute("SELECT MAX(number) FROM schema_steps").fetchone()[0]
        return Check(found, step, tables)


def _address(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def damage(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with a database, or None (integrity_check and foreign_key_check)."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        return " ".join(str(found).split())  # it may have several lines, and a sentence has one
    orphans = connection.execute("PRAGMA foreign_key_check").fetchone()
    return f"a row of {orphans[0]} refers to nothing" if orphans else None


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows of every table of Kira's."""
    query = (
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_fts%'"
    )
    names = [name for (name,) in connection.execute(query)]
    return {name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
