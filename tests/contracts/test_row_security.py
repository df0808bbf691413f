"""Nobody sees or changes what is another's: every tenant statement is attacked with another user's ids."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kira.adapters.database.catalogue import Catalogue, Statement, load
from kira.adapters.database.sqlite import SqliteConfig, SqliteDatabase, create_database
from kira.domain.errors import Conflict, Invalid, KiraError, UnprovenStatement
from kira.domain.search import parse

MARK = "onlyboraknows"
NAMES = sorted(load("sqlite").tenant)
NUMBERS = {"items": 100, "now": 5, "since": 0, "width": 1, "height": 1, "position": 0, "waiting_max": 50}


@dataclass(frozen=True)
class Town:
    """A database with two users: Ada, who attacks, and Bora, whose every text bears the mark."""

    database: SqliteDatabase
    path: Path
    ada: str = "01a00000-0000-7000-8000-00000000000a"
    bora: str = "01b00000-0000-7000-8000-00000000000b"

    def rows_of(self, user: str) -> str:
        """Return everything that belongs to `user`, as text."""
        with closing(sqlite3.connect(self.path)) as file:
            found: dict[str, list[Any]] = {}
            tables = [row[0] for row in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            for table in tables:
                columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
                owner = "user_id" if "user_id" in columns else "id" if table == "users" else None
                if owner:
                    found[table] = sorted(file.execute(f"SELECT * FROM {table} WHERE {owner} = ?", (user,)), key=repr)
            return json.dumps(found)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    path = tmp_path / "kira.sqlite"
    database = create_database(SqliteConfig(path))
    town = Town(database, path)
    _settle(town)
    yield town
    await database.close()


def _settle(town: Town) -> None:
    with closing(sqlite3.connect(town.path, isolation_level=None)) as file:
        for user, text in ((town.ada, "ada"), (town.bora, MARK)):
            own = user[:-1]
            file.execute(
                "INSERT INTO users (id, email, name, role, created_at) VALUES (?, ?, ?, 'user', 1)", (user, text, text)
            )
            file.execute(
                "INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at) "
                "VALUES (?, ?, ?, ?, 1, 1, 9000000000000000)",
                (user, own + "1", text, text),
            )
            file.execute("INSERT INTO settings (user_id, system_prompt, updated_at) VALUES (?, ?, 1)", (user, text))
            file.execute(
                "INSERT INTO conversations (user_id, id, title, titled_by, leaf_id, created_at, updated_at) "
                "VALUES (?, ?, ?, 'words', ?, 1, 1)",
                (user, own + "2", text, own + "3"),
            )
            file.execute(
                "INSERT INTO messages (user_id, id, conversation_id, role, content, search_text, created_at, "
                "idempotency_key) VALUES (?, ?, ?, 'user', ?, ?, 1, ?)",
                (user, own + "3", own + "2", text, text, text),
            )
            file.execute(
                "INSERT INTO runs (user_id, id, kind, background, conversation_id, message_id, model, state, reason, "
                "lease, created_at) VALUES (?, ?, 'reply', 0, ?, ?, ?, 'running', ?, 'lease', 1)",
                (user, own + "4", own + "2", own + "3", text, text),
            )
            file.execute(
                "INSERT INTO widgets (user_id, id, kind, title, position, width, height, created_at) "
                "VALUES (?, ?, 'note', ?, 0, 1, 1, 1)",
                (user, own + "5", text),
            )
            file.execute("INSERT INTO limits (user_id, name, arrival) VALUES (?, 'api', 7)", (user,))


def _attack(town: Town, statement: Statement) -> dict[str, Any]:
    """Return parameters that name Bora's things wherever a statement takes an id."""
    own = town.bora[:-1]
    ids = {"session": "1", "conversation": "2", "message": "3", "parent": "3", "leaf": "3", "answer": "9", "run": "4"}
    ids |= {"widget": "5", "before": "2"}
    given: dict[str, Any] = {}
    for name in set(re.findall(r":([a-z_]+)", statement.sql)) - {"user_id"}:
        stem = name.removesuffix("_id")
        if name in NUMBERS or name.endswith(("_max", "_at", "tokens")) or name in ("interval", "tolerance", "arrival"):
            given[name] = NUMBERS.get(name, 3)
        elif stem in ids and (name.endswith("_id") or name == "before"):
            given[name] = own + ids[stem]
        elif name == "match":
            query = parse(MARK)
            assert query is not None
            # The search is asked for Bora's postings, as if Ada could choose them.
            given[name] = town.database.match(query, town.bora)
        else:
            given[name] = {"lease": "lease", "idempotency_key": MARK, "state": "done", "theme": "dark"}.get(name, "x")
    return given


@pytest.mark.parametrize("name", NAMES)
async def test_a_statement_with_anothers_ids_reads_and_changes_nothing_of_theirs(town: Town, name: str) -> None:
    before = town.rows_of(town.bora)
    rows: list[Any] = []
    try:
        rows = await town.database.of(town.ada).query(name, _attack(town, town.database.catalogue.tenant[name]))
    except KiraError as error:
        assert MARK not in error.message
        assert town.bora not in error.message
    assert town.rows_of(town.bora) == before
    assert MARK not in json.dumps(rows)


async def test_the_negative_control_leaks(town: Town) -> None:
    """A statement whose proof is a lie is what the attack must be able to see."""
    sql = "SELECT m.content FROM messages m"
    lie = Statement("lie.all", sql, writes=False, tables=frozenset({"messages"}))
    database = SqliteDatabase(SqliteConfig(town.path), Catalogue({"lie.all": lie}, {}))
    rows = await database.of(town.ada).query("lie.all")
    await database.close()
    assert MARK in json.dumps(rows)


async def test_what_the_proof_does_not_name_is_refused_by_sqlites_own_parser(town: Town) -> None:
    sql = "SELECT (SELECT s.device FROM sessions s LIMIT 1) AS device FROM messages m WHERE m.user_id = :user_id"
    lie = Statement("lie.sessions", sql, writes=False, tables=frozenset({"messages"}))
    database = SqliteDatabase(SqliteConfig(town.path), Catalogue({"lie.sessions": lie}, {}))
    with pytest.raises(UnprovenStatement):
        await database.of(town.ada).query("lie.sessions")
    await database.close()


@pytest.mark.parametrize("sql", ["ATTACH 'other.sqlite' AS other", "PRAGMA foreign_keys = OFF", "DROP TABLE messages"])
async def test_no_statement_can_leave_the_schema(town: Town, sql: str) -> None:
    lie = Statement("lie.machine", sql, writes=True)
    database = SqliteDatabase(SqliteConfig(town.path), Catalogue({}, {"lie.machine": lie}))
    with pytest.raises(KiraError):
        await database.system.execute("lie.machine")
    await database.close()


async def test_the_ways_do_not_mix_and_nobody_chooses_the_user(town: Town) -> None:
    tenant, system = town.database.of(town.ada), town.database.system
    with pytest.raises(UnprovenStatement):
        await tenant.query("queue.leases")
    with pytest.raises(UnprovenStatement):
        await system.query("conversations.page", {"items": 1, "user_id": town.bora})
    with pytest.raises(UnprovenStatement):
        await tenant.query("conversations.page", {"items": 1, "user_id": town.bora})
    with pytest.raises(UnprovenStatement):
        await tenant.query("SELECT * FROM messages")


async def test_a_message_cannot_be_put_into_anothers_conversation(town: Town) -> None:
    """Foreign keys are composite: even a direct insert with one's own user id is refused."""
    with closing(sqlite3.connect(town.path)) as file:
        file.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            file.execute(
                "INSERT INTO messages (user_id, id, conversation_id, role, content, search_text, created_at) "
                "VALUES (?, 'x', ?, 'user', 'x', 'x', 1)",
                (town.ada, town.bora[:-1] + "2"),
            )


@pytest.mark.parametrize("text", ["nul \x00 byte", "half \ud800 pair"])
async def test_text_that_not_every_database_can_store_is_refused(town: Town, text: str) -> None:
    with pytest.raises(Invalid):
        await town.database.of(town.ada).execute(
            "conversations.rename", {"title": text, "conversation_id": "x", "now": 1}
        )


async def test_a_broken_constraint_tells_neither_sql_nor_values(town: Town) -> None:
    params = {"conversation_id": town.ada[:-1] + "2", "title": MARK, "titled_by": "user", "now": 1}
    with pytest.raises(Conflict) as caught:
        await town.database.of(town.ada).execute("conversations.add", params)
    assert MARK not in caught.value.message
    assert "conversations" not in caught.value.message
