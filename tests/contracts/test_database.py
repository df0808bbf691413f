"""What every database promises: together or not at all, one user at a time, exact under concurrency."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines import ENGINES, engine, ready

from kira.domain.limits import Limit
from kira.domain.moments import MINUTE
from kira.ports.database import Call, Database, NoRow

USER = "01a00000-0000-7000-8000-00000000000a"


@pytest.fixture(params=[*ENGINES, "replicated"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Every adapter, by name; another one joins by another parameter."""
    made = engine(request.param)(tmp_path, None)
    await ready(made)
    await made.system.execute("accounts.add_local", {"id": USER, "name": "You", "now": 1})
    yield made
    await made.close()


def add(conversation_id: str, *, must: bool = False) -> Call:
    params = {"conversation_id": conversation_id, "title": "t", "titled_by": "user", "now": 1}
    return Call("conversations.add", params, must=must)


async def titles(database: Database) -> list[str]:
    return [row["id"] for row in await database.of(USER).query("conversations.page", {"items": 100})]


async def test_a_batch_happens_together(database: Database) -> None:
    results = await database.of(USER).run([add("a"), add("b"), Call("conversations.page", {"items": 9})])
    assert [result.changes for result in results[:2]] == [1, 1]
    assert len(results[2].rows) == 2


async def test_a_batch_whose_demand_fails_happens_not_at_all(database: Database) -> None:
    missing = Call("conversations.rename", {"conversation_id": "z", "title": "t", "now": 1}, must=True)
    with pytest.raises(NoRow) as caught:
        await database.of(USER).run([add("a"), missing])
    assert caught.value.name == "conversations.rename"
    assert await titles(database) == []


async def test_a_failing_batch_does_not_harm_those_beside_it(database: Database) -> None:
    """Batches that arrive together may share one commit; each keeps to itself."""
    missing = Call("conversations.rename", {"conversation_id": "z", "title": "t", "now": 1}, must=True)
    work = [database.of(USER).run([add(f"c{n}"), *([missing] if n % 3 == 0 else [])]) for n in range(60)]
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert [isinstance(outcome, NoRow) for outcome in outcomes] == [n % 3 == 0 for n in range(60)]
    assert len(await titles(database)) == 40


async def test_a_transaction_is_undone_by_an_exception(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.of(USER).transaction() as rows:
            await rows.execute("conversations.add", add("a").params)
            assert await rows.query("conversations.one", {"conversation_id": "a"})
            raise LookupError
    assert await titles(database) == []


async def test_a_transaction_is_kept_at_its_end_and_others_wait_for_it(database: Database) -> None:
    async with database.of(USER).transaction() as rows:
        await rows.execute("conversations.add", add("a").params)
        other = asyncio.create_task(database.of(USER).run([add("b")]))
        await asyncio.sleep(0.02)
        assert not other.done()
    await other
    assert sorted(await titles(database)) == ["a", "b"]


async def test_a_caller_that_leaves_harms_nobody(database: Database) -> None:
    tasks = [asyncio.create_task(database.of(USER).run([add(f"c{n}")])) for n in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    kept = {f"c{n}" for n, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)}
    assert kept <= set(await titles(database))
    assert len(kept) == 25


@pytest.mark.parametrize("count", [1, 7, 100])
async def test_the_limiter_admits_exactly_its_count(database: Database, count: int) -> None:
    limit = Limit("api", count, MINUTE)
    params = {"name": "api", "now": 1, "interval": limit.interval, "tolerance": limit.tolerance}

    async def take() -> int:
        try:
            await database.of(USER).run([Call("guard.limit", params, must=True)])
        except NoRow:
            return 0
        return 1

    tries = [asyncio.create_task(take()) for _ in range(500)]
    assert sum(await asyncio.gather(*tries)) == count


async def test_a_refused_try_takes_nothing(database: Database) -> None:
    limit = Limit("api", 1, MINUTE)
    params = {"name": "api", "now": 1, "interval": limit.interval, "tolerance": limit.tolerance}
    await database.of(USER).run([Call("guard.limit", params, must=True)])
    for _ in range(3):
        with pytest.raises(NoRow):
            await database.of(USER).run([Call("guard.limit", params, must=True)])
    rows = await database.of(USER).query("guard.arrival", {"name": "api"})
    assert rows[0]["arrival"] == 1 + limit.interval


@pytest.mark.parametrize("statement", ["messages.remove", "conversations.remove"])
async def test_a_conversation_of_any_depth_can_be_deleted(database: Database, statement: str) -> None:
    depth = 3_000
    rows = database.of(USER)
    await rows.run([add("c")])
    for first in range(0, depth, 100):
        await rows.run([_message(number) for number in range(first, first + 100)])
    assert len(await rows.query("messages.page", {"conversation_id": "c", "before": "z", "items": depth})) == depth
    whole = {"messages.remove": {"message_id": "m00000"}, "conversations.remove": {"conversation_id": "c"}}
    await rows.execute(statement, whole[statement])
    assert await rows.query("messages.page", {"conversation_id": "c", "before": "z", "items": depth}) == []


def _message(number: int) -> Call:
    params = {
        "message_id": f"m{number:05d}",
        "conversation_id": "c",
        "parent_id": f"m{number - 1:05d}",
        "content": "x",
        "search_text": "x",
        "run_id": None,
        "idempotency_key": None,
        "now": number,
    }
    return Call("messages.ask_below" if number else "messages.ask_first", params, must=True)
