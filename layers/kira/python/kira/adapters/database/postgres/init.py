"""Making a database ready: roles, schema and grants, from one address of a superuser or of the owner; repeatable."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from kira.adapters.database.postgres.config import APPLICATION, OWNER, SCHEMA, SEARCH, WORKER
from kira.adapters.database.postgres.looking import told
from kira.adapters.database.postgres.steps import bring_up_to_date
from kira.adapters.database.steps import SchemaStep
from kira.domain.errors import WrongSetting
from kira.domain.limits import LOCK_SECONDS_MAX, STATEMENT_SECONDS_MAX, TRANSACTION_SECONDS_MAX

Connection = psycopg.Connection[tuple[Any, ...]]

# One who signs in: everybody else is put on inside a transaction, or owns and does nothing.
_ROLES = {
    OWNER: "NOLOGIN",
    APPLICATION: "LOGIN NOINHERIT NOCREATEDB NOCREATEROLE",
    WORKER: "NOLOGIN",
    SEARCH: "NOLOGIN",
}
TOKENS = "rds_iam"
"""The role of Amazon's servers whose members sign in with tokens."""
_SETTINGS = {
    "search_path": SCHEMA,
    "statement_timeout": f"{STATEMENT_SECONDS_MAX}s",
    "lock_timeout": f"{LOCK_SECONDS_MAX}s",
    "idle_in_transaction_session_timeout": f"{TRANSACTION_SECONDS_MAX * 2}s",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What was made: the address of the application's role, whether it is new, and the steps applied."""

    address: str
    is_new: bool
    applied: list[SchemaStep]


def make_database(address: str, name: str) -> None:
    """Make the database `name` on the server at `address`, unless it is there."""
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def init(address: str, password: str | None = None, *, new_key: bool = False) -> Made:
    """Make roles, schema and grants in the database at `address`; what is there already stays.

    The application's role gets `password`, or a new one when the role is new. With `new_key` the next start may have
    another master key. Raises WrongSetting.
    """
    try:
        with psycopg.connect(address, connect_timeout=10, application_name="kira db init") as connection:
            is_new = _make_roles(connection)
            password = password or (secrets.token_urlsafe(24) if is_new else None)
            if password:
                connection.execute(
                    sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(APPLICATION), sql.Literal(password))
                )
            steps = _make_schema(connection)
            if new_key:
                marks = sql.SQL("DELETE FROM {}.marks WHERE name = {}")
                connection.execute(marks.format(sql.Identifier(SCHEMA), sql.Literal("master key")))
            return Made(_address(connection, password), is_new, steps)
    except psycopg.Error as error:
        raise WrongSetting(f"The database could not be made ready: {told(error)}") from error


def let_in_by_token(address: str, *, allowed: bool) -> None:
    """Let the application's role sign in with tokens of IAM, and then with nothing else, where the server knows them.

    Servers of AWS do; on others nothing happens.
    """
    way = f"GRANT {TOKENS} TO {APPLICATION}" if allowed else f"REVOKE {TOKENS} FROM {APPLICATION}"
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (TOKENS,)).fetchone():
            connection.execute(way.encode())


def _make_roles(connection: Connection) -> bool:
    there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for name, rights in _ROLES.items():
        if name not in there:
            connection.execute(f"CREATE ROLE {name} {rights}")
    for name, value in _SETTINGS.items():
        connection.execute(
            sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                sql.Identifier(APPLICATION),
                sql.Identifier(connection.info.dbname),
                sql.Identifier(name),
                sql.Literal(value),
            )
        )
    connection.execute(f"GRANT {WORKER} TO {APPLICATION}")
    # A temporary table would outlive its transaction on a pooled connection, and keep what one user saw for the next.
    named = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(named))
    connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(named, sql.Identifier(OWNER)))
    # The owner hands the search function over; the caller acts as the owner.
    connection.execute(f"GRANT {SEARCH} TO {OWNER}")
    connection.execute(f"GRANT {OWNER} TO CURRENT_USER")
    return APPLICATION not in there


def _make_schema(connection: Connection) -> list[SchemaStep]:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA} AUTHORIZATION {OWNER}")
    connection.execute(f"SET LOCAL ROLE {OWNER}")
    connection.execute(f"SET LOCAL search_path = {SCHEMA}")
    connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {APPLICATION}, {WORKER}, {SEARCH}")
    connection.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {SEARCH}")
    applied = bring_up_to_date(connection)
    connection.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {SEARCH}")
    connection.execute("RESET ROLE")
    return applied


def _address(connection: Connection, password: str | None) -> str:
    """Return the URL of the application's role on the same server."""
    given = conninfo_to_dict(connection.info.dsn)
    more = {name: str(given[name]) for name in ("sslmode", "sslrootcert") if given.get(name)}
    host = connection.info.host
    if host.startswith("/"):
        more["host"], host = host, ""
    host = f"[{host}]" if ":" in host else host
    secret = f":{quote(password, safe='')}" if password else ""
    query = f"?{urlencode(more)}" if more else ""
    return f"postgresql://{APPLICATION}{secret}@{host}:{connection.info.port}/{quote(connection.info.dbname)}{query}"
