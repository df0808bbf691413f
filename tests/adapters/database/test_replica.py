"""A replica answers lists, search and usage, and only where it shows what their user wrote."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from tests.adapters.database.pairs import ANNA, BELA, NOW, Pair, conversations, found, titles, visit
from tests.house.sources import PACKAGE

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.database.catalogue import load
from kira.adapters.database.postgres import PostgresConfig, create_database
from kira.adapters.database.postgres.ways import SHOWN
from kira.domain.errors import KiraError, RateLimited, Unauthenticated, UnprovenStatement
from kira.domain.limits import Limit
from kira.domain.moments import MINUTE
from kira.domain.runs import Claim, Kind, State
from kira.domain.search import parse
from kira.ports.database import Call, NoRow
from kira.services.answering import Answering, Outcome
from kira.services.usage import Usages


async def test_lists_search_and_usage_are_answered_by_the_replica(pair: Pair) -> None:
    database = await pair.instance()
    await pair.pause()
    pair.primary("DELETE FROM messages; DELETE FROM conversations; DELETE FROM runs")
    assert await titles(database) == [f"old {ANNA}"]
    following = await conversations(database).page(visit(database), 9, "c")
    assert following.items == []
    assert await found(database, "apple") == ["m"]
    assert [day.runs for day in await Usages(FixedClock()).by_day(visit(database), 3)] == [1]
    assert await visit(database).query("conversations.page", {"items": 9}) == [], "nothing else is"
    await pair.resume()
    assert await titles(database) == []


async def test_who_wrote_reads_it_at_once_and_others_still_from_the_replica(pair: Pair) -> None:
    database = await pair.instance()
    await pair.pause()
    pair.primary("UPDATE conversations SET title = 'unseen'")
    await conversations(database).change(visit(database), "c", "new", None)
    assert await titles(database) == ["new"]
    assert await titles(database, BELA) == [f"old {BELA}"]
    await pair.resume()
    pair.primary("UPDATE conversations SET title = 'unseen'")
    await pair.pause()
    pair.primary("UPDATE conversations SET title = 'later'")
    assert await titles(database) == ["unseen"], "the replica shows all that was counted, so it answers again"


async def test_what_another_instance_wrote_is_read_at_once(pair: Pair) -> None:
    here, there = await pair.instance(), await pair.instance()
    await pair.pause()
    await conversations(there).add(visit(there), "from there")
    assert await titles(here) == ["from there", f"old {ANNA}"]


async def test_the_end_of_a_run_is_read_at_once(pair: Pair) -> None:
    here, worker = await pair.instance(), await pair.instance()
    await pair.pause()
    claim = Claim(ANNA, "r2", Kind.REPLY, "c", "m", "demo", 1, "lease", 1)
    ended = await Answering(worker, FixedClock()).end(claim, Outcome(State.DONE, "a pear"), is_untitled=False)
    assert ended.answer_id is not None
    assert await found(here, "pear") == [ended.answer_id]
    assert [day.runs for day in await Usages(FixedClock()).by_day(visit(here), 3)] == [2]


async def test_what_a_transaction_wrote_is_read_at_once(pair: Pair) -> None:
    database = await pair.instance()
    await pair.pause()
    async with visit(database).transaction() as rows:
        assert await rows.execute("conversations.rename", {"conversation_id": "c", "title": "new", "now": NOW}) == 1
    assert await titles(database) == ["new"]


async def test_the_context_of_a_run_is_never_the_replicas(pair: Pair) -> None:
    database = await pair.instance()
    assert database.replica is not None
    await pair.pause()
    pair.primary("UPDATE messages SET content = 'changed' WHERE id = 'm'")
    before = database.replica.pool.executed
    task = await Answering(database, FixedClock()).task(Claim(ANNA, "r2", Kind.REPLY, "c", "m", "demo", 1, "lease", 1))
    assert task is not None
    assert [line.content for line in task.prompt.messages] == ["changed"]
    assert database.replica.pool.executed == before


async def test_the_guard_and_the_limits_are_never_the_replicas(pair: Pair) -> None:
    database = await pair.instance()
    await pair.pause()
    api = Limit("api", 2, MINUTE)
    for _ in range(2):
        assert await visit(database, api=api).look("conversations.page", {"items": 9})
    with pytest.raises(RateLimited):
        await visit(database, api=api).look("conversations.page", {"items": 9})
    pair.primary("UPDATE sessions SET ended_at = 1")
    with pytest.raises(Unauthenticated):
        await titles(database)


async def test_a_read_costs_no_statement_more_where_there_is_no_replica(pair: Pair) -> None:
    database = create_database(PostgresConfig(pair.app))
    pair.opened.append(database)
    await conversations(database).change(visit(database), "c", "new", None)
    assert await titles(database) == ["new"]
    assert database.executed == 3 + 2
    assert pair.primary("SELECT * FROM limits") == []


async def test_a_write_and_a_read_carry_one_statement_more_with_a_replica(pair: Pair) -> None:
    database = await pair.instance()
    assert database.replica is not None
    before = database.pool.executed
    await conversations(database).change(visit(database), "c", "new", None)
    assert database.pool.executed - before == 3 + 1
    await pair.catch_up()
    before, asked = database.pool.executed, database.replica.pool.executed
    assert await titles(database) == ["new"]
    assert (database.pool.executed - before, database.replica.pool.executed - asked) == (2, 2)
    assert pair.primary("SELECT user_id, name, arrival FROM limits") == [(ANNA, "wrote", 1)]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("conversations.rename", {"conversation_id": "c", "title": "new", "now": NOW}),
        ("messages.remove", {"message_id": "m"}),
        ("runs.cancel", {"run_id": "r2", "now": NOW}),
    ],
)
async def test_a_write_alone_is_counted(pair: Pair, name: str, params: dict[str, object]) -> None:
    database = await pair.instance()
    await database.of(ANNA).execute(name, params)
    assert pair.primary("SELECT user_id, arrival FROM limits WHERE name = 'wrote'") == [(ANNA, 1)]


def test_a_replica_is_asked_about_nothing_else_than_what_is_counted() -> None:
    asked = {
        name
        for path in (PACKAGE / "services").glob("*.py")
        for name in re.findall(r'\.look\("([a-z_.]+)"', path.read_text())
    }
    assert asked == {"conversations.page", "conversations.page_before", "search.messages", "runs.usage"}
    # On a server the search is a function, whose tables its proof does not name; on a file they are named.
    tenant = load("sqlite").tenant
    assert {table for name in asked for table in tenant[name].tables or ()} - {"messages_fts"} == SHOWN


# Attacks


async def test_the_replica_tells_nobody_what_is_anothers(pair: Pair) -> None:
    database = await pair.instance()
    asked = parse("apple")
    assert asked is not None
    forged = {"match": database.match(asked, BELA).replace("apple", BELA.replace("-", "")), "items": 9}
    for match in (forged, {"match": database.match(asked, BELA), "items": 9}):
        assert BELA not in repr(await visit(database).look("search.messages", match))
    for name in ("conversations.page", "runs.active"):
        assert BELA not in repr(await visit(database).look(name, {"items": 9}))
    assert await visit(database).look("conversations.one", {"conversation_id": "c"}) != []
    for name, params in (
        ("conversations.page", {"items": 9, "user_id": BELA}),
        ("accounts.by_email", {"email": "x"}),
        ("conversations.remove", {"conversation_id": "c"}),
        ("SELECT 1", {}),
    ):
        with pytest.raises(UnprovenStatement):
            await visit(database).look(name, params)


async def test_row_security_holds_on_the_replica_too(pair: Pair) -> None:
    with psycopg.connect(pair.replica_app, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no user is named"):
            connection.execute("SELECT * FROM conversations")
        with connection.transaction():
            connection.execute("SELECT begin_as(%s, false)", (ANNA,))
            assert connection.execute("SELECT DISTINCT user_id FROM conversations").fetchall() == [(ANNA,)]
            assert connection.execute("SELECT DISTINCT user_id FROM messages").fetchall() == [(ANNA,)]
            assert connection.execute(
                "SELECT f.id FROM messages_found(%s, 9) f", (f"apple | {BELA.replace('-', '')}",)
            ).fetchall() == [("m",)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), connection.transaction():
            connection.execute("SELECT begin_as(%s, false)", (ANNA,))
            connection.execute("DELETE FROM conversations")


@pytest.mark.parametrize("must", [False, True])
async def test_what_the_guard_refuses_is_not_told(pair: Pair, *, must: bool) -> None:
    database = await pair.instance()
    refused = Call("guard.session", {"session_id": "another", "now": NOW}, must=True)
    with pytest.raises(NoRow) as caught:
        await database.of(ANNA).look([refused], [Call("conversations.page", {"items": 9}, must=must)])
    assert caught.value.name == "guard.session"


async def test_a_read_that_fails_fails_as_on_the_primary(pair: Pair, warnings: Callable[[], list[str]]) -> None:
    database = await pair.instance()
    with pytest.raises(KiraError):
        await visit(database).look("search.messages", {"match": "((", "items": 9})
    with pytest.raises(NoRow):
        await database.of(ANNA).look([], [Call("conversations.one", {"conversation_id": "?"}, must=True)])
    assert warnings() == []
    assert await titles(database) == [f"old {ANNA}"]
