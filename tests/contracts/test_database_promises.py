"""Every database keeps the same promises; another engine joins by a parameter of the fixture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from tests.engines import ENGINES, engine, ready

from kira.domain.errors import Conflict, Invalid, KiraError, Unavailable, UnprovenStatement
from kira.domain.limits import Limit
from kira.domain.moments import HOUR, SECOND
from kira.domain.search import parse
from kira.ports.database import Call, Database, NoRow, Statements

NOW = 1_800_000_000 * SECOND
ANNA, BELA = "018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b"


@pytest.fixture(params=[*ENGINES, "replicated"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    made = engine(request.param)(tmp_path, None)
    await ready(made)
    for user_id in (ANNA, BELA):
        given = {"id": user_id, "email": f"{user_id}@example.org", "name": "N", "role": "user", "now": NOW}
        await made.system.execute("accounts.add", {**given, "password_hash": None})
    yield made
    await made.close()


def conversation(name: str, title: str = "t") -> dict[str, object]:
    return {"conversation_id": name, "title": title, "titled_by": "nobody", "now": NOW}


def question(name: str, words: str = "hello", where: str = "c") -> dict[str, object]:
    given = {"message_id": name, "conversation_id": where, "content": words, "search_text": words, "now": NOW}
    return {**given, "run_id": None, "idempotency_key": None}


async def titles(rows: Statements) -> list[str]:
    return sorted(row["title"] for row in await rows.query("conversations.page", {"items": 200}))


async def test_rows_are_mappings_and_changes_are_counted(database: Database) -> None:
    rows = database.of(ANNA)
    assert await rows.execute("conversations.add", conversation("c", "first")) == 1
    found = await rows.query("conversations.one", {"conversation_id": "c"})
    assert len(found) == 1
    assert isinstance(found[0], Mapping)
    assert found[0]["title"] == "first"
    assert set(found[0]) == {"id", "title", "created_at", "updated_at", "leaf_id", "run_id"}
    assert await rows.execute("conversations.rename", {"conversation_id": "?", "title": "x", "now": NOW}) == 0
    assert await rows.query("conversations.one", {"conversation_id": "?"}) == []


async def test_a_batch_gives_one_result_for_each_call_in_order(database: Database) -> None:
    calls = [Call("conversations.add", conversation(name, name)) for name in "abc"]
    asked = Call("conversations.one", {"conversation_id": "b"})
    results = await database.of(ANNA).run([*calls, asked])
    assert [result.changes for result in results] == [1, 1, 1, 0]
    assert [len(result.rows) for result in results] == [0, 0, 0, 1]
    assert results[3].rows[0]["title"] == "b"
    assert await database.of(ANNA).run([]) == []


async def test_a_batch_happens_whole_or_not_at_all(database: Database) -> None:
    rows = database.of(ANNA)
    await rows.execute("conversations.add", conversation("c"))
    with pytest.raises(Conflict):
        await rows.run([Call("conversations.add", conversation(name)) for name in "xyc"])
    assert await titles(rows) == ["t"]


@pytest.mark.parametrize("name", ["conversations.one", "conversations.rename"])
async def test_a_call_that_must_give_a_row_undoes_the_batch(database: Database, name: str) -> None:
    rows = database.of(ANNA)
    must = Call(name, {"conversation_id": "?", "title": "x", "now": NOW}, must=True)
    with pytest.raises(NoRow) as refused:
        await rows.run([Call("conversations.add", conversation("c")), must])
    assert refused.value.name == name
    assert await titles(rows) == []
    kept = Call("conversations.rename", {"conversation_id": "c", "title": "new", "now": NOW}, must=True)
    await rows.run([Call("conversations.add", conversation("c")), kept])
    assert await titles(rows) == ["new"]


async def test_a_look_tells_what_is_behind_a_front_that_was_not_refused(database: Database) -> None:
    rows = database.of(ANNA)
    await rows.execute("conversations.add", conversation("c", "first"))
    front = Call("guard.limit", {"name": "x", "now": NOW, "interval": 2, "tolerance": 0}, must=True)
    page = Call("conversations.page", {"items": 9})
    taken, found = await rows.look([front], [page])
    assert [row["arrival"] for row in taken.rows] == [NOW + 2]
    assert [row["title"] for row in found.rows] == ["first"]
    with pytest.raises(NoRow) as refused:
        await rows.look([front], [page])
    assert refused.value.name == "guard.limit"
    assert [row["title"] for result in await rows.look([], [page]) for row in result.rows] == ["first"]


async def test_a_look_only_reads_and_only_what_is_the_users(database: Database) -> None:
    await database.of(BELA).execute("conversations.add", conversation("c"))
    for refused in (
        Call("conversations.remove", {"conversation_id": "c"}),
        Call("conversations.page", {"items": 9, "user_id": BELA}),
        Call("accounts.exist"),
    ):
        with pytest.raises(UnprovenStatement):
            await database.of(ANNA).look([], [refused])
    assert await titles(database.of(BELA)) == ["t"]
    (found,) = await database.of(ANNA).look([], [Call("conversations.page", {"items": 9})])
    assert found.rows == []


async def test_each_way_in_has_its_own_statements(database: Database) -> None:
    with pytest.raises(UnprovenStatement, match=r"database\.system"):
        await database.of(ANNA).query("accounts.by_email", {"email": "x"})
    with pytest.raises(UnprovenStatement, match=r"database\.of"):
        await database.system.query("conversations.page", {"items": 1})
    for way in (database.of(ANNA), database.system):
        with pytest.raises(UnprovenStatement, match="no statement"):
            await way.query("SELECT 1")


async def test_only_the_database_sets_the_user(database: Database) -> None:
    await database.of(BELA).execute("conversations.add", conversation("c"))
    with pytest.raises(UnprovenStatement, match="user_id"):
        await database.of(ANNA).query("conversations.page", {"items": 9, "user_id": BELA})
    assert await titles(database.of(ANNA)) == []


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", 2**63, -(2**63) - 1])
async def test_what_cannot_be_stored_everywhere_is_refused(database: Database, value: object) -> None:
    rows = database.of(ANNA)
    with pytest.raises(Invalid):
        await rows.run(
            [
                Call("conversations.add", conversation("before")),
                Call("conversations.add", {**conversation("c"), "title": value}),
            ]
        )
    assert await titles(rows) == []


@pytest.mark.parametrize("given", [{}, {"conversation_id": object()}])
async def test_errors_do_not_tell_the_statement(database: Database, given: dict[str, object]) -> None:
    with pytest.raises(KiraError) as told:
        await database.of(ANNA).query("conversations.one", given)
    assert "SELECT" not in told.value.message
    assert "user_id" not in told.value.message
    await database.of(ANNA).execute("conversations.add", conversation("c"))
    with pytest.raises(Conflict) as told:
        await database.of(ANNA).execute("conversations.add", conversation("c"))
    assert "conversations" not in told.value.message


async def test_a_transaction_reads_decides_and_writes(database: Database) -> None:
    rows = database.of(ANNA)
    async with rows.transaction() as transaction:
        assert await transaction.execute("conversations.add", conversation("c", "one")) == 1
        (found,) = await transaction.query("conversations.one", {"conversation_id": "c"})
        await transaction.execute("conversations.add", conversation("d", found["title"] + " more"))
        assert await titles(rows) == [], "others see nothing before the end"
    assert await titles(rows) == ["one", "one more"]


async def test_an_error_in_a_transaction_undoes_it(database: Database) -> None:
    rows = database.of(ANNA)
    with pytest.raises(ZeroDivisionError):
        async with rows.transaction() as transaction:
            await transaction.execute("conversations.add", conversation("c"))
            raise ZeroDivisionError
    assert await titles(rows) == []


async def test_a_statement_that_fails_in_a_transaction_undoes_itself_alone(database: Database) -> None:
    rows = database.of(ANNA)
    async with rows.transaction() as transaction:
        await transaction.execute("conversations.add", conversation("c"))
        with pytest.raises(Conflict):
            await transaction.execute("conversations.add", conversation("c"))
        with pytest.raises(UnprovenStatement):
            await transaction.query("accounts.exist")
    assert await titles(rows) == ["t"]


async def test_transact_returns_what_the_work_returns(database: Database) -> None:
    rows = database.of(ANNA)

    async def count_up(seen: list[int]) -> int:
        async def work(transaction: object) -> int:
            seen.append(len(seen))
            return len(seen)

        return await rows.transact(work)

    assert [await count_up([]), await count_up([1, 2])] == [1, 3]


async def test_who_fails_among_many_fails_alone(database: Database) -> None:
    rows = database.of(ANNA)
    await rows.execute("conversations.add", conversation("c0"))
    adds = (rows.run([Call("conversations.add", conversation(f"c{n // 2}", str(n)))]) for n in range(100))
    outcomes = await asyncio.gather(*adds, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(refused) == 51, "one of each pair, and both of the first"
    assert len(await titles(rows)) == 50


async def test_what_was_answered_is_seen_by_the_next_reader(database: Database) -> None:
    async def write_and_read(number: int) -> bool:
        name = f"c{number}"
        await database.of(ANNA).execute("conversations.add", conversation(name))
        return bool(await database.of(ANNA).query("conversations.one", {"conversation_id": name}))

    assert all(await asyncio.gather(*map(write_and_read, range(200))))


async def test_a_search_finds_the_words_of_its_user_only(database: Database) -> None:
    for user_id, word in ((ANNA, "apple"), (BELA, "apple")):
        rows = database.of(user_id)
        await rows.execute("conversations.add", conversation("c", user_id))
        await rows.run([Call("messages.ask", question("m", f"green {word}"), must=True)])
    asked = parse("appl* -red")
    assert asked is not None
    found = await database.of(ANNA).query("search.messages", {"match": database.match(asked, ANNA), "items": 9})
    assert [(row["title"], row["content"]) for row in found] == [(ANNA, "green apple")]
    spying = {"match": database.match(asked, BELA), "items": 9}
    assert {row["title"] for row in await database.of(ANNA).query("search.messages", spying)} <= {ANNA}
    await database.of(ANNA).execute("conversations.remove", {"conversation_id": "c"})
    assert await database.of(ANNA).query("search.messages", {**spying, "match": database.match(asked, ANNA)}) == []


async def test_closing_finishes_what_runs_and_refuses_what_comes(database: Database) -> None:
    rows = database.of(ANNA)
    adds = [asyncio.ensure_future(rows.execute("conversations.add", conversation(str(n)))) for n in range(50)]
    reads = [asyncio.ensure_future(rows.query("conversations.page", {"items": 1})) for _ in range(50)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*adds) == [1] * 50
    assert len(await asyncio.gather(*reads)) == 50
    for late in (rows.query("conversations.page", {"items": 1}), rows.execute("conversations.add", conversation("x"))):
        with pytest.raises(Unavailable):
            await late
    await database.close()


# The limiter


@pytest.mark.parametrize("count", [1, 7, 100])
@pytest.mark.parametrize("kind", ["guard.limit", "guard.api", "attempts.take"])
async def test_a_limit_admits_exactly_its_count_under_fifty_tasks(database: Database, kind: str, count: int) -> None:
    limit = Limit("x", count, 60 * SECOND)
    await _begin_session(database)
    tries = 50 * (count // 10 + 2)
    outcomes = await asyncio.gather(*(_take(database, kind, limit, NOW) for _ in range(tries)))
    assert sum(arrival is not None for arrival in outcomes) == count
    assert max(arrival for arrival in outcomes if arrival is not None) == NOW + count * limit.interval


@pytest.mark.parametrize("kind", ["guard.limit", "guard.api", "attempts.take"])
async def test_the_wait_that_is_told_is_true(database: Database, kind: str) -> None:
    limit = Limit("api" if kind == "guard.api" else "x", 3, 60 * SECOND)
    await _begin_session(database)
    for _ in range(3):
        assert await _take(database, kind, limit, NOW) is not None
    arrival = await _arrival(database, kind, limit)
    wait = round(limit.wait_s(arrival, NOW) * SECOND)
    assert wait == 20 * SECOND
    assert await _take(database, kind, limit, NOW + wait - 1) is None
    assert await _arrival(database, kind, limit) == arrival, "a refusal changes nothing"
    assert await _take(database, kind, limit, NOW + wait) is not None


async def test_limits_of_users_and_keys_are_apart(database: Database) -> None:
    limit = Limit("x", 1, 60 * SECOND)
    for user_id in (ANNA, BELA):
        taken = {"name": "x", "now": NOW, "interval": limit.interval, "tolerance": limit.tolerance}
        assert await database.of(user_id).query("guard.limit", taken)
        assert not await database.of(user_id).query("guard.limit", taken)
        assert await database.of(user_id).query("guard.limit", {**taken, "name": "y"})


async def test_attempts_that_no_longer_count_are_swept(database: Database) -> None:
    limit = Limit("x", 1, 60 * SECOND)
    assert await _take(database, "attempts.take", limit, NOW) == NOW + limit.interval
    assert await database.system.execute("attempts.sweep", {"now": NOW + limit.interval - 1}) == 0
    assert await database.system.execute("attempts.sweep", {"now": NOW + limit.interval}) == 1


async def test_the_guard_admits_living_sessions_only_and_counts_nothing_for_others(database: Database) -> None:
    limit = Limit("api", 9, 60 * SECOND)
    assert await _take(database, "guard.api", limit, NOW) is None
    await _begin_session(database)
    assert await database.of(ANNA).query("guard.session", {"session_id": "s", "now": NOW})
    late = NOW + HOUR
    assert not await database.of(ANNA).query("guard.session", {"session_id": "s", "now": late})
    assert await _take(database, "guard.api", limit, late) is None
    assert not await database.of(BELA).query("guard.session", {"session_id": "s", "now": NOW})
    assert await database.of(ANNA).query("guard.arrival", {"name": "api"}) == []
    assert await _take(database, "guard.api", limit, NOW) == NOW + limit.interval


async def _begin_session(database: Database) -> None:
    given = {"session_id": "s", "refresh_hash": "h", "device": "d", "owner_id": ANNA, "checked_hash": None}
    await database.system.execute("sessions.begin", {**given, "now": NOW, "expires_at": NOW + HOUR})


async def _take(database: Database, kind: str, limit: Limit, now: int) -> int | None:
    given = {"now": now, "interval": limit.interval, "tolerance": limit.tolerance, "session_id": "s"}
    if kind == "attempts.take":
        rows = await database.system.query(kind, {**given, "key": limit.name})
    else:
        rows = await database.of(ANNA).query(kind, {**given, "name": limit.name})
    return int(rows[0]["arrival"]) if rows else None


async def _arrival(database: Database, kind: str, limit: Limit) -> int:
    if kind == "attempts.take":
        rows = await database.system.query("attempts.read", {"key": limit.name})
    else:
        rows = await database.of(ANNA).query("guard.arrival", {"name": "api" if kind == "guard.api" else limit.name})
    return int(rows[0]["arrival"])
