"""The schema in numbered steps: a snapshot first, each step whole or not at all, and a way back."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from kira.adapters.database.backup import counts, damage, snapshot
from kira.domain.errors import WrongSetting

STEPS = Path(__file__).parent / "sql" / "schema" / "sqlite"
SNAPSHOTS_KEPT = 3
_LEDGER = (
    "CREATE TABLE IF NOT EXISTS schema_steps ("
    "number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered change of the schema."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the step's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def steps(folder: Path = STEPS) -> list[Step]:
    """Return the steps of `folder` in their order."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Step(int(number), name, path.read_text(encoding="utf-8")))
    return found


def bring_up_to_date(path: Path, folder: Path = STEPS) -> list[Step]:
    """Apply the steps that the file at `path` lacks; return them.

    Takes a snapshot before an existing file is changed and puts it back when a step fails. Raises WrongSetting
    when the file belongs to a newer Kira, is not Kira's, or an applied step was changed since.
    """
    wanted = steps(folder)
    is_new = not path.exists() or path.stat().st_size == 0
    if is_new:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        os.close(descriptor)
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        missing = _missing(connection, wanted, path)
        if not missing:
            return []
        kept = None if is_new else _snapshot(path, missing[0])
        try:
            _apply(connection, missing)
        except (sqlite3.Error, WrongSetting) as error:
            connection.close()
            if kept is not None:
                go_back(path, kept)
            else:
                path.unlink()
            raise WrongSetting(
                f"The data could not be brought to this version of Kira: {error}. It is unchanged."
            ) from error
        return missing
    except sqlite3.DatabaseError as error:
        raise WrongSetting(f"{path} is not a database that Kira can read ({error}). Try `kira restore`.") from error
    finally:
        connection.close()


def go_back(path: Path, kept: Path) -> None:
    """Put the snapshot `kept` in the place of the file at `path`, whose journal goes too."""
    fresh = path.with_name(path.name + ".going-back")
    snapshot(kept, fresh)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    fresh.replace(path)


def _missing(connection: sqlite3.Connection, wanted: list[Step], path: Path) -> list[Step]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "schema_steps" not in tables:
        raise WrongSetting(f"{path} is a database, but not Kira's. Name another folder with KIRA_DATA.")
    applied: dict[int, str] = {}
    if tables:
        applied = dict(connection.execute("SELECT number, sha256 FROM schema_steps").fetchall())
    newest = wanted[-1].number if wanted else 0
    if applied and max(applied) > newest:
        raise WrongSetting(
            f"{path} was written by a newer Kira (step {max(applied)}; this one knows {newest}). "
            "Install that version again, or restore a backup of this one."
        )
    for step in wanted:
        if step.number in applied and applied[step.number] != step.digest:
            raise WrongSetting(f"Step {step.number} of the schema was changed after it was applied to {path}.")
    return [step for step in wanted if step.number not in applied]


def _apply(connection: sqlite3.Connection, missing: list[Step]) -> None:
    before = counts(connection)
    connection.execute("PRAGMA foreign_keys = OFF")
    for step in missing:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_LEDGER)
            for statement in _split(step.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_steps (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
                (step.number, step.name, step.digest, time.time_ns() // 1000),
            )
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise
    found = damage(connection)
    after = counts(connection)
    lost = [table for table, rows in before.items() if after.get(table, rows) < rows]
    if found or lost:
        raise WrongSetting(found or f"rows of {', '.join(lost)} would be lost")


def _split(sql: str) -> list[str]:
    """Return the statements of a step; a trigger's inner semicolons do not end it."""
    found, part = [], ""
    for line in sql.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            if re.sub(r"--[^\n]*", "", part).strip():
                found.append(part)
            part = ""
    return found


def _snapshot(path: Path, step: Step) -> Path:
    folder = path.parent / "snapshots"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = folder / f"before-{step.number:04d}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.sqlite"
    snapshot(path, kept)
    for old in sorted(folder.glob("before-*.sqlite"), key=lambda each: each.stat().st_mtime)[:-SNAPSHOTS_KEPT]:
        old.unlink()
    return kept
