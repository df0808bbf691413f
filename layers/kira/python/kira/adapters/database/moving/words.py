"""The words of a table on PostgreSQL, made after its rows: by several connections, page by page, resumable."""

from __future__ import annotations

import os
import queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

import psycopg

from kira.adapters.database.moving.postgres_reader import Connection, connect, is_there
from kira.adapters.database.moving.sides import Phase
from kira.adapters.database.moving.tables import Plan
from kira.adapters.database.postgres.config import OWNER
from kira.adapters.database.unfinished import UNFINISHED

CONNECTIONS = min(4, os.cpu_count() or 1)
PAGES_A_BATCH = 2_000
"""Of 8 KiB: some ten thousand messages."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The rows of one table that wait for their words, in a table of their own without keys."""

    plan: Plan
    address: str

    @property
    def name(self) -> str:
        """The table in which they wait."""
        return waiting_for(self.plan.table.name)

    def make(self, connection: Connection, rows: int, phase: Phase) -> None:
        """Take all of them into their table, where a trigger makes the words, and forget where they waited."""
        size = _one(connection, f"SELECT pg_relation_size('{self.name}') / current_setting('block_size')::int")
        made = _one(connection, f"SELECT COUNT(*) FROM {UNFINISHED} WHERE part LIKE '{_part(self.plan.table.name)}%'")  # noqa: S608
        starts = range(0, size, PAGES_A_BATCH)
        label = f"Making the words of {self.plan.table.name}"
        with phase(label, unit="rows") as tell, ExitStack() as stack:
            free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
            for _ in range(min(CONNECTIONS, len(starts))):
                free.put(stack.enter_context(closing(self._connection())))
            pool = ThreadPoolExecutor(CONNECTIONS)
            stack.callback(pool.shutdown, cancel_futures=True)
            tell(made * rows // max(1, len(starts)), rows)
            for is_new in pool.map(lambda start: self._take(free, start), starts):
                made += is_new
                tell(made * rows // len(starts), rows)
        connection.execute(f"DROP TABLE {self.name}")

    def _take(self, free: queue.SimpleQueue[Connection], start: int) -> bool:
        """Take the rows of the pages from `start` on; return False when that was done before."""
        columns = ", ".join(self.plan.columns)
        connection = free.get()
        try:
            with connection.transaction():
                # First the note: were these pages still being taken by a process that was killed, this waits for it.
                connection.execute(f"INSERT INTO {UNFINISHED} VALUES (%s, '')", (_part(self.plan.table.name, start),))  # noqa: S608
                connection.execute(
                    f"INSERT INTO {self.plan.table.name} ({columns}) SELECT {columns} FROM {self.name} "  # noqa: S608
                    f"WHERE ctid >= '({start},0)' AND ctid < '({start + PAGES_A_BATCH},0)'"
                )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.table_name != UNFINISHED:
                raise
            return False
        finally:
            free.put(connection)
        return True

    def _connection(self) -> Connection:
        connection, _ = connect(self.address)
        connection.execute(f"SET ROLE {OWNER}")
        connection.execute("SET synchronous_commit = off")
        return connection


def is_lost(connection: Connection, table: str) -> bool:
    """Say whether rows of `table` wait no more: what waits is in no log, so a server that crashed has emptied it."""
    name = waiting_for(table)
    return is_there(connection, name) and not _one(connection, f"SELECT pg_relation_size('{name}')")


def forget(connection: Connection, table: str) -> None:
    """Forget the rows of `table`, those that wait and those that have their words."""
    connection.execute(f"DELETE FROM {UNFINISHED} WHERE part LIKE '{_part(table)}%'")  # noqa: S608
    connection.execute(f"TRUNCATE {table}")
    connection.execute(f"DROP TABLE {waiting_for(table)}")


def waiting_for(table: str) -> str:
    """Return the name of the table in which rows of `table` wait."""
    return f"{UNFINISHED}_{table}"


def _part(table: str, start: int | None = None) -> str:
    return f"words {table} {'' if start is None else start}"


def _one(connection: Connection, query: str) -> int:
    return int((connection.execute(query).fetchone() or (0,))[0])
