"""A PostgreSQL database as the target of a move, filled as the owner of the tables."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence

import psycopg

from kira.adapters.database.moving import postponed
from kira.adapters.database.moving.lines import NOT_TEXT
from kira.adapters.database.moving.postgres_reader import (
    PostgresReader,
    check_steps,
    connect,
    has_schema,
    is_there,
    is_unfinished,
    others,
)
from kira.adapters.database.moving.sides import Part, Phase, note, noted
from kira.adapters.database.moving.tables import NOT_MOVED, SEARCH_TEXT, WORDS, Plan
from kira.adapters.database.moving.words import Waiting, forget, is_lost, waiting_for
from kira.adapters.database.postgres.config import OWNER, SCHEMA
from kira.adapters.database.postgres.init import init
from kira.adapters.database.unfinished import UNFINISHED
from kira.domain.errors import Conflict, Invalid

_LOCK = 7_521_046_114  # any number that nothing else uses
_WAIT = "10s"
_ON_THE_WAY_BYTES = 1024 * 1024
"""Whoever makes lines would otherwise wait, block by block, for a server that still reads: a fifth of its time."""
_SOURCE = "source"


class PostgresTarget:
    """Keys, references and row security are put off and come back at the end, kept in the database meanwhile."""

    kind = "postgresql"

    def __init__(self, address: str, *, joins: bool = False) -> None:
        """Sign in, alone or to join a move that goes on. Raises KiraError: unreachable, not the owner, or not alone."""
        self.address = address
        self.connection, _ = connect(address)
        with socket.socket(fileno=os.dup(self.connection.fileno())) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ON_THE_WAY_BYTES)
        self.reader = PostgresReader(self.connection)
        try:
            if not joins:
                self._be_alone()
            if has_schema(self.connection):
                self._become_owner()
        except BaseException:
            self.connection.close()
            raise

    def begun(self) -> str | None:
        """Return what the unfinished move here comes from; None when there is none."""
        return (self._read(_SOURCE) or "") if is_unfinished(self.connection) else None

    def users(self) -> int | None:
        """Return how many users are there; None when there is not even a schema."""
        if not has_schema(self.connection):
            return None
        check_steps(self.connection)
        with self.connection.transaction(force_rollback=True):  # for the owner, row security hides them
            self.connection.execute("ALTER TABLE users NO FORCE ROW LEVEL SECURITY")
            return int((self.connection.execute("SELECT COUNT(*) FROM users").fetchone() or (0,))[0])

    def make_ready(self) -> str | None:
        """Make roles and schema where there are none. Return the address for KIRA_DATABASE when they are new."""
        if has_schema(self.connection):
            return None
        made = init(self.address)
        self._become_owner()
        return made.address if made.is_new else None

    def begin(self, mark: str, parts: Mapping[str, Sequence[Part]]) -> None:
        """Mark the database as unfinished, empty it, note what is to be stored, and put off what is faster later."""
        with self.connection.transaction():
            self.connection.execute(
                f"CREATE TABLE IF NOT EXISTS {UNFINISHED} (part TEXT PRIMARY KEY, state TEXT NOT NULL)"
            )
            self.connection.execute(f"DELETE FROM {UNFINISHED} WHERE part NOT LIKE 'later %'")  # noqa: S608
            postponed.put_off(self.connection)
            names = sorted(self.reader.tables().keys() - NOT_MOVED)
            self.connection.execute(f"TRUNCATE {', '.join(names)}")
            for name in names:
                self.connection.execute(f"DROP TABLE IF EXISTS {waiting_for(name)}")
            todo = [(note(name, part), "") for name, found in parts.items() for part in found]
            with self.connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {UNFINISHED} VALUES (%s, %s)", [(_SOURCE, mark), *todo])  # noqa: S608

    def left(self, plan: Plan) -> tuple[list[Part], int]:
        """Return the parts still to be stored and the rows stored: none when the server has lost those that waited."""
        name = plan.table.name
        left, stored = self._noted(name)
        if stored and is_lost(self.connection, name):
            with self.connection.transaction():
                self.connection.execute(f"UPDATE {UNFINISHED} SET state = '' WHERE part LIKE '{note(name)}%'")  # noqa: S608
                forget(self.connection, name)
            left, stored = self._noted(name)
        if _has_to_wait(plan) and not stored:
            waiting = waiting_for(name)
            self.connection.execute(f"CREATE UNLOGGED TABLE IF NOT EXISTS {waiting} (LIKE {name} INCLUDING DEFAULTS)")
        return left, stored

    def write(self, plan: Plan, part: Part, blocks: Iterator[bytes]) -> int:
        """Store the rows of `part` and that they are, both or neither; return how many they were."""
        name = waiting_for(plan.table.name) if _has_to_wait(plan) else plan.table.name
        with self.connection.transaction():
            # First the note: were this part still being stored for a move that was killed, this waits for its end.
            stored = self._read(note(plan.table.name, part), " FOR UPDATE")
            if stored:
                return int(stored)
            copied = self._copy(plan, name, blocks)
            written = f"UPDATE {UNFINISHED} SET state = %s WHERE part = %s"  # noqa: S608
            self.connection.execute(written, (str(copied), note(plan.table.name, part)))
        return copied

    def _noted(self, table: str) -> tuple[list[Part], int]:
        query = f"SELECT part, state FROM {UNFINISHED} WHERE part LIKE '{note(table)}%'"  # noqa: S608
        return noted(self.connection.execute(query).fetchall())

    def _copy(self, plan: Plan, name: str, blocks: Iterator[bytes]) -> int:
        """Copy all `blocks` and return how many rows they were. Raises Invalid for what is no text."""
        cursor = self.connection.cursor()
        try:
            with cursor.copy(f"COPY {name} ({', '.join(plan.columns)}) FROM STDIN") as copy:
                for block in blocks:
                    copy.write(block)
        except psycopg.errors.CharacterNotInRepertoire:
            raise Invalid(NOT_TEXT) from None
        return cursor.rowcount

    def settle(self, plans: Sequence[Plan], phase: Phase) -> None:
        """Make words, then indexes, and check every reference; each part is kept as it is made."""
        self.connection.execute("SET maintenance_work_mem = '256MB'")
        for plan in plans:
            if is_there(self.connection, waiting_for(plan.table.name)):
                Waiting(plan, self.address).make(self.connection, self._noted(plan.table.name)[1], phase)
        todo = [item for item in postponed.still_to_do(self.connection) if item.is_index]
        with phase("Making indexes and checking references") as tell:
            for number, item in enumerate(todo):
                tell(number, len(todo))
                postponed.make(self.connection, item)
            tell(len(todo), len(todo))
        self.connection.execute("ANALYZE " + ", ".join(plan.table.name for plan in plans))

    def set_aside(self) -> str:
        """Rename the schema, so that there is none any more; return its new name. Raises what PostgreSQL says."""
        kept = f"{SCHEMA}_replaced_{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
        self.connection.execute("RESET ROLE")
        self.connection.execute(f"ALTER SCHEMA {SCHEMA} RENAME TO {kept}")
        return f"the schema {kept}"

    def finish(self) -> None:
        """Put row security and triggers back and take the mark away, all or nothing: from now on Kira uses it."""
        with self.connection.transaction():
            self.connection.execute("SET LOCAL synchronous_commit = on")
            for item in postponed.still_to_do(self.connection):
                self.connection.execute(item.ddl)
            self.connection.execute(f"DROP TABLE {UNFINISHED}")

    def close(self) -> None:
        """Sign out."""
        self.connection.close()

    def _be_alone(self) -> None:
        if others(self.connection):
            raise Conflict("A Kira runs on TO. Stop it first.")
        # A process that was killed leaves its connection for a moment, and what it had begun is undone then.
        self.connection.execute(f"SET lock_timeout = '{_WAIT}'")
        try:
            self.connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        except psycopg.errors.LockNotAvailable:
            raise Conflict("Another migration into TO runs. Wait for it to end.") from None

    def _become_owner(self) -> None:
        self.connection.execute(f"SET ROLE {OWNER}")
        # Only the end must survive a power loss at once: a batch and its place are lost together.
        self.connection.execute("SET synchronous_commit = off")

    def _read(self, part: str, lock: str = "") -> str | None:
        query = f"SELECT state FROM {UNFINISHED} WHERE part = %s{lock}"  # noqa: S608
        row = self.connection.execute(query, (part,)).fetchone()
        return str(row[0]) if row else None


def _has_to_wait(plan: Plan) -> bool:
    return WORDS not in plan.columns and SEARCH_TEXT in plan.columns
