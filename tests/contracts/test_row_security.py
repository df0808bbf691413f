"""Nobody sees or changes what is another's: every tenant statement is attacked with another user's ids."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.contracts.engines import HERE, engine_here
from tests.engines import Engine

from kira.adapters.database.catalogue import Catalogue, Statement, load
from kira.domain.errors import Conflict, Invalid, KiraError, UnprovenStatement
from kira.domain.search import parse
from kira.ports.database import Database

MARK = "onlyboraknows"
NAMES = sorted(load("sqlite").tenant)
NUMBERS = {"items": 100, "now": 5, "since": 0, "width": 1, "height": 1, "position": 0, "waiting_max": 50}


ADA, BORA = "01a00000-0000-7000-8000-00000000000a", "01b00000-0000-7000-8000-00000000000b"


@dataclass(frozen=True)
class Town:
    """A database with two users: Ada, who attacks, and Bora, whose every text bears the mark."""

    engine: Engine
    folder: Path
    database: Database

    def run(self, sql: str, *values: object) -> None:
        """Run `sql` past every wall."""
        self.engine.past(self.folder, sql, *values)

    def rows_of(self, user: str) -> str:
        """Return everything that belongs to `user`, as text."""
        return self.engine.rows_of(self.folder, user)


@pytest.fixture(scope="module", params=HERE)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Path]:
    """One database for all tests of an engine; each test settles it anew."""
    return engine_here(request.param), tmp_path_factory.mktemp(request.param)


@pytest.fixture
async def town(place: tuple[Engine, Path]) -> AsyncIterator[Town]:
    town = Town(*place, place[0](place[1], None))
    town.run("DELETE FROM users")
    for user, text in ((ADA, "ada"), (BORA, MARK)):
        _settle(town, user, text)
    yield town
    await town.database.close()


def _settle(town: Town, user: str, text: str) -> None:
    own = user[:-1]
    town.run("INSERT INTO users (id, email, name, role, created_at) VALUES (?, ?, ?, 'user', 1)", user, text, text)
    town.run(
        "INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at) "
        "VALUES (?, ?, ?, ?, 1, 1, 9000000000000000)",
        *(user, own + "1", text, text),
    )
    town.run("INSERT INTO settings (user_id, system_prompt, updated_at) VALUES (?, ?, 1)", user, text)
    town.run(
        "INSERT INTO conversations (user_id, id, title, titled_by, leaf_id, created_at, updated_at) "
        "VALUES (?, ?, ?, 'words', ?, 1, 1)",
        *(user, own + "2", text, own + "3"),
    )
    town.run(
        "INSERT INTO messages (user_id, id, conversation_id, role, content, search_text, created_at, "
        "idempotency_key) VALUES (?, ?, ?, 'user', ?, ?, 1, ?)",
        *(user, own + "3", own + "2", text, text, text),
    )
    town.run(
        "INSERT INTO runs (user_id, id, kind, background, conversation_id, message_id, model, state, reason, "
        "lease, created_at) VALUES (?, ?, 'reply', 0, ?, ?, ?, 'running', ?, 'lease', 1)",
        *(user, own + "4", own + "2", own + "3", text, text),
    )
    town.run(
        "INSERT INTO widgets (user_id, id, kind, title, position, width, height, created_at) "
        "VALUES (?, ?, 'note', ?, 0, 1, 1, 1)",
        *(user, own + "5", text),
    )
    town.run("INSERT INTO limits (user_id, name, arrival) VALUES (?, 'api', 7)", user)


def _attack(town: Town, statement: Statement) -> dict[str, Any]:
    """Return parameters that name Bora's things wherever a statement takes an id."""
    own = BORA[:-1]
    ids = {"session": "1", "conversation": "2", "message": "3", "parent": "3", "leaf": "3", "answer": "9", "run": "4"}
    ids |= {"widget": "5", "before": "2"}
    given: dict[str, Any] = {}
    for name in set(re.findall(r"(?<!:):([a-z_]+)", statement.sql)) - {"user_id"}:
        stem = name.removesuffix("_id")
        if name in NUMBERS or name.endswith(("_max", "_at", "tokens")) or name in ("interval", "tolerance", "arrival"):
            given[name] = NUMBERS.get(name, 3)
        elif stem in ids and (name.endswith("_id") or name == "before"):
            given[name] = own + ids[stem]
        elif name == "match":
            query = parse(MARK)
            assert query is not None
            # The search is asked for Bora's postings, as if Ada could choose them.
            given[name] = town.database.match(query, BORA)
        else:
            given[name] = {"lease": "lease", "idempotency_key": MARK, "state": "done", "theme": "dark"}.get(name, "x")
    return given


async def _outcome(town: Town, name: str) -> str:
    statement = load(town.engine.dialect).tenant[name]
    try:
        return json.dumps(await town.database.of(ADA).query(name, _attack(town, statement)))
    except KiraError as error:
        return error.message


@pytest.mark.parametrize("name", NAMES)
async def test_a_statement_with_anothers_ids_reads_and_changes_nothing_of_theirs(town: Town, name: str) -> None:
    before = town.rows_of(BORA)
    assert MARK in before
    told = await _outcome(town, name)
    assert town.rows_of(BORA) == before
    assert MARK not in told
    assert BORA not in told


async def test_the_negative_control_leaks(town: Town) -> None:
    """A statement whose proof is a lie is what the attack must be able to see, where nothing stands behind."""
    lie = Statement("lie.all", "SELECT m.content FROM messages m", writes=False, tables=frozenset({"messages"}))
    catalogue = Catalogue({"lie.all": lie}, {})
    for database, leaks in (
        (town.engine.unguarded(town.folder, catalogue), True),
        (town.engine(town.folder, catalogue), town.engine.dialect == "sqlite"),
    ):
        rows = await database.of(ADA).query("lie.all")
        await database.close()
        assert (MARK in json.dumps(rows)) is leaks


async def test_the_ways_do_not_mix_and_nobody_chooses_the_user(town: Town) -> None:
    tenant, system = town.database.of(ADA), town.database.system
    with pytest.raises(UnprovenStatement):
        await tenant.query("queue.leases")
    with pytest.raises(UnprovenStatement):
        await system.query("conversations.page", {"items": 1, "user_id": BORA})
    with pytest.raises(UnprovenStatement):
        await tenant.query("conversations.page", {"items": 1, "user_id": BORA})
    with pytest.raises(UnprovenStatement):
        await tenant.query("SELECT * FROM messages")


async def test_a_message_cannot_be_put_into_anothers_conversation(town: Town) -> None:
    """Foreign keys are composite: even a direct insert with one's own user id is refused."""
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.ForeignKeyViolation)):
        town.run(
            "INSERT INTO messages (user_id, id, conversation_id, role, content, search_text, created_at) "
            "VALUES (?, 'x', ?, 'user', 'x', 'x', 1)",
            *(ADA, BORA[:-1] + "2"),
        )


@pytest.mark.parametrize("text", ["nul \x00 byte", "half \ud800 pair"])
async def test_text_that_not_every_database_can_store_is_refused(town: Town, text: str) -> None:
    with pytest.raises(Invalid):
        await town.database.of(ADA).execute("conversations.rename", {"title": text, "conversation_id": "x", "now": 1})


async def test_a_broken_constraint_tells_neither_sql_nor_values(town: Town) -> None:
    params = {"conversation_id": ADA[:-1] + "2", "title": MARK, "titled_by": "user", "now": 1}
    with pytest.raises(Conflict) as caught:
        await town.database.of(ADA).execute("conversations.add", params)
    assert MARK not in caught.value.message
    assert "conversations" not in caught.value.message
