"""How often Kira waits for the server: once for what decides nothing, and never more than the statements ask for."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.engines import SERVERS, Postgres, server
from tests.wire import Wire, wire

from kira.adapters.database.catalogue import load
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase
from kira.domain.search import parse
from kira.ports.database import Call, NoRow

USER = "018f0000-0000-7000-8000-00000000000a"
GUARD = Call("guard.api", {"session_id": "s", "now": 1, "interval": 1, "tolerance": 0}, must=True)
PAGE = Call("conversations.page", {"items": 9})
ADD = {"conversation_id": "c", "title": "t", "titled_by": "user", "now": 1}


@pytest.fixture(params=SERVERS)
async def counted(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[PostgresDatabase, Wire]]:
    engine = Postgres(request.param)
    address = engine.address(tmp_path)
    with ExitStack() as stack:
        # The path of a socket is bounded, and the folder of a test can be deep.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kira-wire-")))
        socket_folder = server(request.param).socket_folder
        async with wire(socket_folder, folder) as counting:
            config = PostgresConfig(address.replace(str(socket_folder), str(folder)), 1, 1)
            made = PostgresDatabase(config, load("postgres"))
            await made.system.execute("accounts.add_local", {"id": USER, "name": "You", "now": 1})
            engine.past(
                tmp_path,
                "INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at) "
                "VALUES (?, 's', 'h', 'd', 1, 1, 100)",
                USER,
            )
            counting.trips = 0
            yield made, counting
            await made.close()


async def test_a_guarded_read_is_one_round_trip(counted: tuple[PostgresDatabase, Wire]) -> None:
    database, counting = counted
    await database.of(USER).run([GUARD, PAGE])
    assert counting.trips == 1
    with pytest.raises(NoRow):
        await database.of(USER).run([GUARD, *[PAGE] * 9])
    assert counting.trips == 2, "a refusal too"
    await database.of(USER).query("conversations.page", {"items": 9})
    await database.of(USER).execute("conversations.add", ADD)
    await database.system.query("accounts.exist")
    assert counting.trips == 5


async def test_a_search_is_one_round_trip(counted: tuple[PostgresDatabase, Wire]) -> None:
    database, counting = counted
    asked = parse("some words")
    assert asked is not None
    await database.of(USER).query("search.messages", {"match": database.match(asked, USER), "items": 9})
    assert counting.trips == 1


async def test_a_transaction_is_its_statements_and_two_round_trips(counted: tuple[PostgresDatabase, Wire]) -> None:
    database, counting = counted
    async with database.of(USER).transaction() as rows:
        await rows.query("conversations.page", {"items": 9})
        await rows.execute("conversations.add", ADD)
    assert counting.trips == 4


async def test_a_large_batch_is_one_round_trip(counted: tuple[PostgresDatabase, Wire]) -> None:
    """More than a socket takes at once, in both directions."""
    database, counting = counted
    adds = [Call("conversations.add", {**ADD, "conversation_id": str(n), "title": "t" * 10_000}) for n in range(200)]
    await database.of(USER).run(adds)
    results = await database.of(USER).run([Call("conversations.page", {"items": 200})] * 3)
    assert [len(result.rows) for result in results] == [200] * 3
    assert counting.trips == 2
