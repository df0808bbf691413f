"""What the server has read and planned once is kept for a connection, where it is surely that connection's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines import SERVERS, Postgres

from kira.adapters.database.catalogue import load
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase
from kira.adapters.database.postgres.exchange import exchange
from kira.ports.database import Call, NoRow

USER = "018f0000-0000-7000-8000-00000000000a"
PAGE = Call("conversations.page", {"items": 9})
KEPT = b"SELECT count(*) FROM pg_prepared_statements"


def opened(kind: str, folder: Path) -> PostgresDatabase:
    return PostgresDatabase(PostgresConfig(Postgres(kind).address(folder), 1, 1), load("postgres"))


@pytest.fixture(params=SERVERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PostgresDatabase]:
    made = opened(request.param, tmp_path)
    await made.system.execute("accounts.add_local", {"id": USER, "name": "You", "now": 1})
    yield made
    await made.close()


async def count(database: PostgresDatabase) -> int:
    """Return how many statements the server keeps for the only connection."""
    async with database.pool.connection() as connection:
        cursor = await connection.execute(KEPT)
        (found,) = await cursor.fetchone() or (0,)
        return int(found)


async def test_a_statement_is_read_once(database: PostgresDatabase) -> None:
    await database.of(USER).run([PAGE] * 3)
    kept = await count(database)
    await database.of(USER).run([PAGE, PAGE])
    await database.of(USER).run([PAGE])
    assert await count(database) == kept > 0


async def test_what_failed_before_it_was_read_is_read_later(database: PostgresDatabase) -> None:
    guard = Call("guard.api", {"session_id": "none", "now": 1, "interval": 1, "tolerance": 0}, must=True)
    with pytest.raises(NoRow):
        await database.of(USER).run([guard, PAGE])
    assert (await database.of(USER).run([PAGE]))[0].rows == []
    assert (await database.of(USER).run([PAGE]))[0].rows == []


async def test_what_the_server_forgot_is_said_again(database: PostgresDatabase) -> None:
    await database.of(USER).run([PAGE])
    async with database.pool.connection() as connection:
        await connection.execute(b"DEALLOCATE ALL")
    assert (await database.of(USER).run([PAGE]))[0].rows == []
    async with database.of(USER).transaction() as rows:
        assert await rows.query(PAGE.name, PAGE.params) == []


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_table_may_be_altered_under_it(kind: str, tmp_path: Path) -> None:
    engine = Postgres(kind)
    made = PostgresDatabase(PostgresConfig(engine.address(tmp_path), 1, 1), load("postgres"))
    engine.past(tmp_path, "CREATE TABLE altered AS SELECT 1 AS one")
    engine.past(tmp_path, "GRANT SELECT ON altered TO kira_app")
    async with made.pool.connection() as connection:
        for columns in (1, 2):
            (found,) = await exchange(connection, [(b"SELECT * FROM altered", ())])
            assert found.nfields == columns
            engine.past(tmp_path, f"ALTER TABLE altered ADD COLUMN more{columns} int")
    await made.close()


async def test_nothing_is_kept_behind_a_pooler(tmp_path: Path) -> None:
    made = opened("pgbouncer", tmp_path)
    await made.system.query("accounts.exist")
    async with made.pool.connection() as connection:
        assert connection.kept is None
    assert await count(made) == 0
    await made.close()
