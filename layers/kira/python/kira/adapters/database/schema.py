"""The schema in numbered steps: a snapshot first, everything checked before it counts, and a way back."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from kira.adapters.database.backup import check, counts, damage, snapshot
from kira.adapters.database.failures import told_of
from kira.adapters.database.keeper import NEVER
from kira.adapters.database.places import make_private
from kira.adapters.database.session import use_journal
from kira.adapters.database.steps import LEDGER, SchemaStep, find_missing, read
from kira.adapters.database.unfinished import UNFINISHED
from kira.domain.errors import WrongSetting
from kira.domain.limits import SNAPSHOTS_KEPT_MAX

STEPS = Path(__file__).parent / "sql" / "schema" / "sqlite"
BUSY_SECONDS = 30
_DROPS = re.compile(r"^-- drops (\w+)$", re.MULTILINE)


def steps(folder: Path = STEPS) -> list[SchemaStep]:
    """Return the steps of `folder` in their order."""
    return read(folder)


def bring_up_to_date(path: Path, folder: Path = STEPS, *, folds: bool = True) -> list[SchemaStep]:
    """Apply the steps that the file at `path` lacks, all or none; return them.

    Takes a snapshot before an existing file is changed; leaves the journal as it is unless it `folds`. Raises
    WrongSetting when the file belongs to a newer Kira, is not Kira's, has a step that was changed since, or a step
    fails; then the file is as it was.
    """
    wanted = steps(folder)
    make_private(path)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)) as connection:
        try:
            missing = _missing(_applied(connection), wanted, path)
            _refuse_unfinished(connection, path)
            if not missing:
                return []
            use_journal(connection)
            if not folds:
                connection.execute(NEVER)
            connection.execute("PRAGMA foreign_keys = OFF")  # a step may rebuild a table that others refer to
            connection.execute("BEGIN IMMEDIATE")
            # Asked again behind the lock: another process may have started at the same moment.
            missing = _missing(_applied(connection), wanted, path)
            _upgrade(connection, missing, path)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise told_of(error) or WrongSetting(f"{path} cannot be used: {error}. Try `kira restore`.") from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    return missing


def lacking(connection: sqlite3.Connection, path: Path) -> list[SchemaStep]:
    """Return the steps that the database of `connection` lacks; raises WrongSetting when it is not of this Kira."""
    applied = _applied(connection)
    if not applied:
        raise WrongSetting(f"{path} is not a database of Kira's. Name another.")
    return _missing(applied, steps(), path)


def go_back(path: Path, kept: Path) -> None:
    """Make the database at `path` what it was when the snapshot `kept` was taken; other programs may have it open.

    Raises WrongSetting when the snapshot is damaged; then nothing was changed.
    """
    try:
        found = check(kept)
    except sqlite3.Error as error:
        raise WrongSetting(f"{kept} is not a snapshot of Kira's ({error}). Choose another.") from error
    if found.damage or found.step is None:
        raise WrongSetting(f"{kept} is not a whole snapshot ({found.damage or 'no schema'}). Choose another.")
    make_private(path)
    with closing(sqlite3.connect(kept)) as source, closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as target:
        source.backup(target)


def is_unfinished(connection: sqlite3.Connection) -> bool:
    """Say whether `kira migrate` began to fill the database of `connection` and did not finish."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (UNFINISHED,)).fetchone() is not None


def _refuse_unfinished(connection: sqlite3.Connection, path: Path) -> None:
    if is_unfinished(connection):
        raise WrongSetting(
            f"{path} holds a migration that did not finish, so it is not used. "
            "Say the same `kira migrate` again, or remove the file."
        )


def _applied(connection: sqlite3.Connection) -> dict[int, str] | None:
    """Return number and digest of the steps that were applied; None when there is not even a list of them."""
    try:
        return dict(connection.execute("SELECT number, sha256 FROM schema_steps").fetchall())
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if "schema_steps" in tables:  # another process made it just now
        return _applied(connection)
    return None if tables else {}


def _missing(applied: Mapping[int, str] | None, wanted: Sequence[SchemaStep], path: Path) -> list[SchemaStep]:
    if applied is None:
        raise WrongSetting(f"{path} is a database, but not Kira's. Name another folder with KIRA_DATA.")
    return find_missing(applied, wanted, str(path))


def _upgrade(connection: sqlite3.Connection, missing: Sequence[SchemaStep], path: Path) -> None:
    """Apply `missing` in the transaction that is open; raises WrongSetting when the result is not sound."""
    before = counts(connection)
    if before and missing:
        _snapshot(path, missing[0])
    for step in missing:
        try:
            _apply(connection, step)
        except sqlite3.Error as error:
            told = f"Step {step.number} ({step.name}) of the schema failed: {error}. {path} is as it was."
            raise told_of(error) or WrongSetting(told) from error
    dropped = {table for step in missing for table in _DROPS.findall(step.sql)}
    after = counts(connection)
    lost = sorted(table for table, rows in before.items() if table not in dropped and after.get(table, -1) < rows)
    found = f"rows of {', '.join(lost)} would be lost" if lost else damage(connection)
    if found:
        raise WrongSetting(f"The data could not be brought to this version of Kira: {found}. {path} is as it was.")


def _apply(connection: sqlite3.Connection, step: SchemaStep) -> None:
    connection.execute(LEDGER)
    for statement in _split(step.sql):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO schema_steps (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
        (step.number, step.name, step.digest, time.time_ns() // 1000),
    )


def _split(sql: str) -> list[str]:
    """Return the statements of a step; a semicolon inside a trigger, a text or a comment does not end one."""
    found, part = [], ""
    for piece in sql.split(";"):
        part += piece + ";"
        if sqlite3.complete_statement(part):
            found.append(part)
            part = ""
    rest = part.removesuffix(";")
    if re.sub(r"--[^\n]*", "", rest).strip():
        found.append(rest)  # a last statement without its semicolon is not to be lost
    return found


def _snapshot(path: Path, step: SchemaStep) -> Path:
    folder = path.parent / "snapshots"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = folder / f"before-{step.number:04d}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.sqlite"
    snapshot(path, kept)
    for old in sorted(folder.glob("before-*.sqlite"), key=lambda each: each.name[-28:])[:-SNAPSHOTS_KEPT_MAX]:
        old.unlink()
    return kept
