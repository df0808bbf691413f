"""A primary and its replica, with two users, and instances of Kira on them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tests.engines import FAST, server

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase, ReplicaConfig, create_database
from kira.adapters.database.postgres.embedded import Embedded
from kira.adapters.queue.table import TableQueue
from kira.adapters.stream.process import ProcessStream
from kira.domain.limits import Limit
from kira.services.conversations import Conversations
from kira.services.visits import Visit

ANNA, BELA = "018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b"
NOW = FixedClock().now()


@dataclass
class Pair:
    """A primary with its replica, each under the addresses of the superuser (`own`) and of Kira (`app`)."""

    name: str
    own: str
    app: str
    replica_own: str
    replica_app: str
    opened: list[PostgresDatabase] = field(default_factory=list)

    def primary(self, sql: str) -> list[Any]:
        """Run `sql` on the primary past Kira, which counts no write then."""
        return _run(self.own, sql)

    def replica(self, sql: str) -> list[Any]:
        return _run(self.replica_own, sql)

    async def instance(self, *, lag_s: float = 5, wait_s: float = 5) -> PostgresDatabase:
        """Return the database of one more instance, which has looked at the replica."""
        read = ReplicaConfig(self.replica_app, lag_s=lag_s, wait_s=wait_s)
        made = create_database(PostgresConfig(self.app), replica=read)
        self.opened.append(made)
        assert made.replica is not None
        await made.replica.look()
        return made

    async def catch_up(self) -> None:
        # A commit that waits for the disk takes with it those before, which did not.
        self.primary("SELECT pg_logical_emit_message(true, 'test', '')")
        ((place,),) = self.primary("SELECT pg_current_wal_flush_lsn()")
        await until(lambda: self.replica(f"SELECT pg_last_wal_replay_lsn() >= '{place}'") == [(True,)])

    async def pause(self) -> None:
        """Let the replica receive everything and show nothing new."""
        await self.catch_up()
        self.replica("SELECT pg_wal_replay_pause()")
        await until(lambda: self.replica("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])

    async def resume(self) -> None:
        self.replica("SELECT pg_wal_replay_resume()")
        await self.catch_up()


def _run(address: str, sql: str) -> list[Any]:
    with psycopg.connect(address, autocommit=True) as connection:
        done = connection.execute(sql.encode())
        return done.fetchall() if done.description else []


def searching(address: str) -> str:
    return f"{address} options='-c search_path=kira -c synchronous_commit=on'"


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.02)


def settle(pair: Pair, user_id: str) -> None:
    """Give a user a session, a conversation with a question, a run that ended, and one that goes."""
    pair.primary(f"""
        INSERT INTO users (id, name, role, created_at) VALUES ('{user_id}', 'n', 'user', 1);
        INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at)
          VALUES ('{user_id}', 's', '{user_id}', 'd', 1, 1, {NOW * 2});
        INSERT INTO conversations (user_id, id, title, titled_by, created_at, updated_at)
          VALUES ('{user_id}', 'c', 'old {user_id}', 'user', 1, 1);
        INSERT INTO messages (user_id, id, conversation_id, role, content, search_text, created_at)
          VALUES ('{user_id}', 'm', 'c', 'user', 'apple {user_id}', 'apple', 1);
        INSERT INTO runs (user_id, id, kind, background, model, state, created_at, ended_at)
          VALUES ('{user_id}', 'r', 'reply', 0, 'demo', 'done', 1, {NOW});
        INSERT INTO runs (user_id, id, kind, background, model, state, created_at, conversation_id, message_id, lease)
          VALUES ('{user_id}', 'r2', 'reply', 0, 'demo', 'running', 1, 'c', 'm', 'lease');
    """)


def visit(database: PostgresDatabase, user_id: str = ANNA, api: Limit | None = None) -> Visit:
    return Visit(user_id, "s", "user", database, FixedClock(), api)


def conversations(database: PostgresDatabase) -> Conversations:
    return Conversations(database, FixedClock(), TableQueue(database, FixedClock()), ProcessStream())


async def titles(database: PostgresDatabase, user_id: str = ANNA) -> list[str]:
    return [each.title for each in (await conversations(database).page(visit(database, user_id), 9, None)).items]


async def found(database: PostgresDatabase, words: str) -> list[str]:
    return [hit.message_id for hit in (await conversations(database).search(visit(database), words, 9)).items]


def mortal(pair: Pair) -> tuple[Embedded, Pair]:
    """Return a replica that may die, and the pair with it."""
    folder = Path(tempfile.mkdtemp(prefix="kira-pg-"))
    folder.chmod(0o755)
    name = pair.name
    made = Embedded(folder / "pg", follows=server("postgres").address(), options=FAST)
    return made, Pair(name, pair.own, pair.app, made.address(), made.address("kira_app", name))
