"""A PostgreSQL database as the target of a move, filled as the owner of the tables."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import psycopg

from kira.adapters.database.moving import postponed
from kira.adapters.database.moving.lines import NOT_TEXT, fields
from kira.adapters.database.moving.postgres_reader import (
    PostgresReader,
    check_steps,
    connect,
    has_schema,
    is_there,
    is_unfinished,
    others,
)
from kira.adapters.database.moving.sides import Phase, Place
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

    def __init__(self, address: str) -> None:
        """Sign in. Raises KiraError: unreachable, not the owner, or another migration into it runs."""
        self._address = address
        self.connection, _ = connect(address)
        with socket.socket(fileno=os.dup(self.connection.fileno())) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ON_THE_WAY_BYTES)
        self.reader = PostgresReader(self.connection)
        try:
            if others(self.connection):
                raise Conflict("A Kira runs on TO. Stop it first.")
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
        made = init(self._address)
        self._become_owner()
        return made.address if made.is_new else None

    def begin(self, mark: str) -> None:
        """Mark the database as unfinished, empty it, and put off what can be made faster at the end."""
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
            self._write(_SOURCE, mark)

    def place(self, table: str) -> Place:
        """Return how far a table is; again at its beginning when the server has lost the rows that waited."""
        found = self._read(f"table {table}")
        place = Place(**json.loads(found)) if found else Place()
        if not place.copied or not is_lost(self.connection, table):
            return place
        with self.connection.transaction():
            self.connection.execute(f"DELETE FROM {UNFINISHED} WHERE part = %s", (f"table {table}",))  # noqa: S608
            forget(self.connection, table)
        return Place()

    def write(self, plan: Plan, place: Place, blocks: Iterator[bytes], limit: int) -> Place:
        """Store at most `limit` rows and the new place, both or neither."""
        with self.connection.transaction():
            copied, last = self._copy(plan, self._table_for(plan, place), blocks)
            row = fields(last[:-1].rpartition(b"\n")[2]) if last else []
            key = [row[at] for at in plan.key_places] if row else place.last
            after = Place(place.copied + copied, key, copied < limit)
            self._write(f"table {plan.table.name}", json.dumps(asdict(after)))
        return after

    def _copy(self, plan: Plan, name: str, blocks: Iterator[bytes]) -> tuple[int, bytes]:
        """Copy all `blocks` and return how many rows they were and the last one. Raises Invalid for what is no text."""
        copied, last = 0, b""
        try:
            with self.connection.cursor().copy(f"COPY {name} ({', '.join(plan.columns)}) FROM STDIN") as copy:
                for block in blocks:
                    copy.write(block)
                    copied, last = copied + block.count(b"\n"), block
        except psycopg.errors.CharacterNotInRepertoire:
            raise Invalid(NOT_TEXT) from None
        return copied, last

    def settle(self, plans: Sequence[Plan], phase: Phase) -> None:
        """Make words, then indexes, and check every reference; each part is kept as it is made."""
        self.connection.execute("SET maintenance_work_mem = '256MB'")
        for plan in plans:
            if is_there(self.connection, waiting_for(plan.table.name)):
                Waiting(plan, self._address).make(self.connection, self.place(plan.table.name).copied, phase)
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

    def _table_for(self, plan: Plan, place: Place) -> str:
        """Return where rows of `plan` go first: words are made afterwards, when a row must not wait for them."""
        name = plan.table.name
        if not _has_to_wait(plan):
            return name
        if place.last is None:
            self.connection.execute(f"CREATE UNLOGGED TABLE {waiting_for(name)} (LIKE {name} INCLUDING DEFAULTS)")
        return waiting_for(name)

    def _read(self, part: str) -> str | None:
        row = self.connection.execute(f"SELECT state FROM {UNFINISHED} WHERE part = %s", (part,)).fetchone()  # noqa: S608
        return str(row[0]) if row else None

    def _write(self, part: str, state: str) -> None:
        self.connection.execute(
            f"INSERT INTO {UNFINISHED} (part, state) VALUES (%s, %s) "  # noqa: S608
            "ON CONFLICT (part) DO UPDATE SET state = excluded.state",
            (part, state),
        )


def _has_to_wait(plan: Plan) -> bool:
    return WORDS not in plan.columns and SEARCH_TEXT in plan.columns
