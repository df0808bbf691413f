"""What is looked at before a server is trusted: the role that signs in, and the schema it finds."""

from __future__ import annotations

from typing import Any

import psycopg

from kira.adapters.database.postgres.config import OWNER, SCHEMA, WORKER, PostgresConfig
from kira.adapters.database.postgres.exchange import Connection, exchange, rows_of
from kira.adapters.database.postgres.steps import APPLIED, lacking_of, missing
from kira.adapters.database.steps import SchemaStep
from kira.adapters.database.unfinished import UNFINISHED
from kira.domain.errors import WrongSetting
from kira.ports.database import Row

INIT = "Run `kira db init ADDRESS` with the address of a superuser or of the owner, and use the address it prints."
VERSION_MIN = 150_000

_ROLE = """
SELECT r.rolsuper OR r.rolbypassrls AS past_security,
  COALESCE(pg_has_role(current_user, o.oid, 'USAGE'), false) AS owns,
  COALESCE(pg_has_role(current_user, w.oid, 'MEMBER'), false) AS works,
  to_regnamespace($1::text) IS NOT NULL AND has_schema_privilege(to_regnamespace($1::text), 'USAGE') AS has_schema
FROM pg_roles r
LEFT JOIN pg_roles o ON o.rolname = $2::text
LEFT JOIN pg_roles w ON w.rolname = $3::text
WHERE r.rolname = current_user
"""
_ROLES = (SCHEMA, OWNER, WORKER)
_MARK = "SELECT to_regclass($1::text) IS NOT NULL AS unfinished"
_MARKS = (f"{SCHEMA}.{UNFINISHED}",)


def check(config: PostgresConfig) -> None:
    """Raise WrongSetting unless the server answers, keeps its row security against this role, and has this schema."""
    try:
        lacking = _lacking(config, "KIRA_DATABASE")
    except psycopg.Error as error:
        raise WrongSetting(f"KIRA_DATABASE cannot be used: {told(error)}") from None
    _refuse(lacking)


async def look(connection: Connection) -> None:
    """As `check`, on a connection that is open, in one round trip. Raises WrongSetting and psycopg.Error."""
    _check_version(connection.info.server_version, "the database")
    messages = [(_ROLE.encode(), _ROLES), (_MARK.encode(), _MARKS), (APPLIED.encode(), ())]
    try:
        role, mark, steps = [rows_of(connection, result) for result in await exchange(connection, messages)]
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        # A superuser may not find the tables either, and is to be told of the role.
        (role,) = [rows_of(connection, result) for result in await exchange(connection, messages[:1])]
        _check_role(_values(role), "the database")
        raise WrongSetting(f"The database was not made ready for Kira. {INIT}") from None
    _check_role(_values(role), "the database")
    _check_finished(is_unfinished=bool(mark[0]["unfinished"]), setting="the database")
    _refuse(lacking_of((row["number"], row["sha256"], row["since"]) for row in steps))


def doubt(config: PostgresConfig) -> str | None:
    """Return why a replica cannot be used at the moment, if so: it is away, or has yet to receive the schema.

    Raises WrongSetting for a server whose row security this role would pass, or that is not one for this Kira.
    """
    try:
        lacking = _lacking(config, "KIRA_DATABASE_READ")
    except psycopg.Error as error:
        return told(error)
    return f"It lacks step {lacking[0].number} of the schema." if lacking else None


def told(error: psycopg.Error) -> str:
    """Return what the server or the way to it says, in one sentence without a password."""
    lines = str(error.diag.message_primary or error).strip().splitlines()
    said = lines[-1].strip() if lines else "it does not answer"
    said = said.removeprefix("FATAL:").strip().rstrip(".")
    return f"{said}. Check that PostgreSQL runs and that the address is right."


def _refuse(lacking: list[SchemaStep]) -> None:
    if lacking:
        raise WrongSetting(f"The database lacks step {lacking[0].number} of the schema. {INIT}")


def _lacking(config: PostgresConfig, setting: str) -> list[SchemaStep]:
    with psycopg.connect(config.address, **config.options, cursor_factory=psycopg.RawCursor) as connection:  # type: ignore[arg-type]
        _check_version(connection.info.server_version, setting)
        _check_role(connection.execute(_ROLE, _ROLES).fetchone(), setting)
        _check_finished(is_unfinished=connection.execute(_MARK, _MARKS).fetchone() == (True,), setting=setting)
        return missing(connection)


def _values(found: list[Row]) -> tuple[Any, ...] | None:
    return tuple(found[0].values()) if found else None


def _check_version(version: int, setting: str) -> None:
    if version < VERSION_MIN:
        raise WrongSetting(f"{setting} is a PostgreSQL {version // 10_000}; Kira needs 15 or newer.")


def _check_finished(*, is_unfinished: bool, setting: str) -> None:
    if is_unfinished:
        raise WrongSetting(
            f"The database of {setting} holds a migration that did not finish, so it is not used. "
            "Say the same `kira migrate` again."
        )


def _check_role(row: tuple[Any, ...] | None, setting: str) -> None:
    past_security, owns, works, has_schema = row or (True, True, False, False)
    if past_security or owns:
        raise WrongSetting(f"The role of {setting} is above row security, so Kira does not use it. {INIT}")
    if not works or not has_schema:
        raise WrongSetting(f"The database of {setting} was not made ready for Kira. {INIT}")
