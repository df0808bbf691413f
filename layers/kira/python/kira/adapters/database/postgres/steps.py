"""The schema of a PostgreSQL server, brought up to date: all steps or none, under one lock."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from kira.adapters.database.postgres.config import APPLICATION
from kira.adapters.database.steps import LEDGER, SchemaStep, find_missing, read
from kira.domain.errors import WrongSetting

STEPS = Path(__file__).parent.parent / "sql" / "schema" / "postgres"
_LOCK = 7_521_046_113  # any number that nothing else uses

# While instances are replaced one by one, those of the version before start on the new schema too; each step says
# how far back that goes (`-- since <number>`), which tests/adapters/database/postgres/test_forward.py holds it to.
# Read as JSON, because a ledger of an older Kira has no such column. The table is named without its schema, as in all
# statements: a replica that was sent the schema but not yet where the role looks for it is not ready.
APPLIED = "SELECT number, sha256, (to_jsonb(s) ->> 'since')::integer AS since FROM schema_steps s"

Connection = psycopg.Connection[tuple[Any, ...]]


def steps(folder: Path = STEPS) -> list[SchemaStep]:
    """Return the steps of `folder` in their order."""
    return read(folder)


def bring_up_to_date(connection: Connection, folder: Path = STEPS) -> list[SchemaStep]:
    """Apply the steps that the schema lacks in the transaction that is open; return them.

    Raises WrongSetting when the schema belongs to a newer Kira, has a step that was changed since, or a step fails.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute(LEDGER)
    connection.execute("ALTER TABLE schema_steps ADD COLUMN IF NOT EXISTS since INTEGER")
    connection.execute(f"GRANT SELECT ON schema_steps TO {APPLICATION}")
    lacking = missing(connection, folder)
    for step in lacking:
        try:
            connection.execute(step.sql.encode())
        except psycopg.Error as error:
            told = f"Step {step.number} ({step.name}) of the schema failed: {error}. The database is as it was."
            raise WrongSetting(told) from error
        values = (step.number, step.name, step.digest, time.time_ns() // 1000, step.since)
        connection.execute(
            "INSERT INTO schema_steps (number, name, sha256, applied_at, since) VALUES (%s, %s, %s, %s, %s)", values
        )
    return lacking


def missing(connection: Connection, folder: Path = STEPS, *, exactly: bool = False) -> list[SchemaStep]:
    """Return the steps of `folder` that the schema lacks; raises WrongSetting for one that is not this Kira's.

    With `exactly` a newer one is refused that this Kira would work with.
    """
    rows = connection.execute(APPLIED).fetchall()
    return lacking_of([(number, digest, None if exactly else since) for number, digest, since in rows], folder)


def lacking_of(applied: Iterable[tuple[int, str, int | None]], folder: Path = STEPS) -> list[SchemaStep]:
    """Return the steps of `folder` that are not among the rows of APPLIED; raises WrongSetting as `missing` does."""
    rows = list(applied)
    since = max((number if since is None else since for number, _, since in rows), default=None)
    return find_missing({number: digest for number, digest, _ in rows}, read(folder), "the database", since)
