"""The PostgreSQL side of a move, as one transaction that only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from kira.adapters.database.moving.sides import ROWS_A_BLOCK, RUNNING, Part, divide
from kira.adapters.database.moving.tables import Table
from kira.adapters.database.postgres.config import APPLICATION, OWNER, SCHEMA
from kira.adapters.database.postgres.looking import VERSION_MIN, told
from kira.adapters.database.postgres.steps import missing as find_missing
from kira.adapters.database.unfinished import UNFINISHED
from kira.domain.errors import Conflict, WrongSetting

Connection = psycopg.Connection[tuple[Any, ...]]
LOCK_SECONDS = 5

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r'
ORDER BY c.relname, a.attnum
"""
_WHO = f"""
SELECT r.rolsuper OR r.rolbypassrls, COALESCE(pg_has_role(o.oid, 'MEMBER'), false)
FROM pg_roles r LEFT JOIN pg_roles o ON o.rolname = '{OWNER}' WHERE r.rolname = current_user
"""  # noqa: S608 - a constant
_OTHERS = f"""
SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = '{APPLICATION}'
"""  # noqa: S608 - a constant


class PostgresReader:
    """Reads what the transaction of its connection sees."""

    kind = "postgresql"

    def __init__(self, connection: Connection) -> None:
        """Read on `connection`."""
        self.connection = connection

    def tables(self) -> dict[str, Table]:
        """Return the tables of Kira's."""
        columns: dict[str, dict[str, str]] = {}
        for table, column, kind in self.connection.execute(_COLUMNS, (SCHEMA,)).fetchall():
            columns.setdefault(table, {})[column] = kind
        return {name: Table(name, columns[name]) for name in columns if not name.startswith(UNFINISHED)}

    def summary(self, table: Table) -> list[int]:
        """Return the number of rows, and a sum over each column of numbers."""
        sums = "".join(f", COALESCE(SUM({column} % 1000003), 0)" for column in table.numbers)
        row = self.connection.execute(f"SELECT COUNT(*){sums} FROM {table.name}").fetchone()  # noqa: S608
        return [int(value) for value in row or ()]

    def running(self) -> int:
        """Return how many runs are under a lease."""
        return int((self.connection.execute(RUNNING).fetchone() or (0,))[0])

    def parts(self, table: Table, rows: int) -> list[Part]:
        """Divide `table` into parts of about `rows` rows; none when it is empty."""
        asked = f"COUNT(*), pg_relation_size('{table.name}') / current_setting('block_size')::int"
        count, pages = self.connection.execute(f"SELECT {asked} FROM {table.name}").fetchone() or (0, 0)  # noqa: S608
        return divide(0, pages - 1, -(-count // rows)) if count else []

    def blocks(self, table: Table, columns: Sequence[str], part: Part | None = None) -> Iterator[bytes]:
        """Yield the rows of `part`, or all, as lines."""
        # As they lie, by the numbers of pages: a large table is not sorted, and no index has to be there.
        within = f" WHERE ctid >= '({part.first},0)' AND ctid < '({part.last + 1},0)'" if part else ""
        query = f"COPY (SELECT {', '.join(columns)} FROM {table.name}{within}) TO STDOUT"  # noqa: S608
        with self.connection.cursor() as cursor, cursor.copy(query) as copy:
            rows: list[bytes] = []
            for row in copy:
                rows.append(bytes(row))
                if len(rows) == ROWS_A_BLOCK:
                    yield b"".join(rows)
                    rows.clear()
            if rows:
                yield b"".join(rows)

    def close(self) -> None:
        """Undo what the reading took, and end it."""
        self.connection.close()


def connect(address: str) -> tuple[Connection, bool]:
    """Sign in and say whether row security holds this role back unless it becomes the owner. Raises WrongSetting."""
    try:
        connection = psycopg.connect(
            address, autocommit=True, connect_timeout=10, application_name="kira migrate", client_encoding="UTF8"
        )
    except psycopg.Error as error:
        raise WrongSetting(f"The database cannot be reached: {told(error)}") from None
    try:
        if connection.info.server_version < VERSION_MIN:
            version = connection.info.server_version // 10_000
            raise WrongSetting(f"That is a PostgreSQL {version}; Kira needs 15 or newer.")
        past_security, owns = connection.execute(_WHO).fetchone() or (False, False)
        if not past_security and not owns:
            raise WrongSetting(
                f"Row security shows the role {connection.info.user} only one user's rows, so it cannot move them all. "
                f"Give the address of a superuser or of the owner ({OWNER})."
            )
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"):
            if setting != "transaction_timeout" or connection.info.server_version >= 170_000:
                connection.execute(f"SET {setting} = 0")
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.execute(f"SET search_path = {SCHEMA}")
    except BaseException:
        connection.close()
        raise
    return connection, not past_security


def others(connection: Connection) -> int:
    """Return how many connections of a running Kira the database has."""
    return int((connection.execute(_OTHERS).fetchone() or (0,))[0])


def identity(connection: Connection) -> tuple[Any, ...]:
    """Return what two connections have in common only when they are to the same database of the same server."""
    return connection.execute("SELECT current_database(), pg_postmaster_start_time()").fetchone() or ()


def has_schema(connection: Connection) -> bool:
    """Say whether there is a schema of Kira's."""
    return is_there(connection, "schema_steps")


def is_unfinished(connection: Connection) -> bool:
    """Say whether a move into this database began and did not finish."""
    return is_there(connection, UNFINISHED)


def check_steps(connection: Connection) -> None:
    """Raise WrongSetting unless the schema is exactly that of this Kira."""
    missing = find_missing(connection, exactly=True)  # what a newer Kira added would be left behind
    if missing:
        told = (
            f"The database is of an older Kira (it lacks schema step {missing[0].number}). Bring it up to date first."
        )
        raise WrongSetting(told)


def open_source(address: str) -> PostgresReader:
    """Read one moment of the database at `address`; others may go on writing. Raises KiraError."""
    connection, is_held_back = connect(address)
    try:
        if not has_schema(connection):
            raise WrongSetting("FROM has no schema of Kira's, so there is nothing to move.")
        if is_held_back:
            connection.execute(f"SET ROLE {OWNER}")
        check_steps(connection)
        if is_unfinished(connection):
            raise Conflict("FROM is itself an unfinished migration. Finish it first, or name another FROM.")
        reader = PostgresReader(connection)
        if is_held_back:
            _see_all(connection, list(reader.tables()))
        else:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    except psycopg.errors.LockNotAvailable:
        connection.close()
        raise Conflict("FROM is in use. Stop every Kira on it, or give the address of a superuser.") from None
    except BaseException:
        connection.close()
        raise
    return reader


def _see_all(connection: Connection, tables: Sequence[str]) -> None:
    """Let the owner see every row, in a transaction that is undone at the end: nothing of it stays."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    for table in tables:
        connection.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")


def is_there(connection: Connection, table: str) -> bool:
    """Say whether the schema has `table`."""
    return (connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.{table}",)).fetchone() or (None,))[0] is not None
