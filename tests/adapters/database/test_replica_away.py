"""A replica that is away, hangs, lags or is another's is passed over, and asked again when it is back."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Callable

import psycopg
import pytest
from tests.adapters.database.pairs import ANNA, Pair, mortal, titles
from tests.engines import FAST, fresh, standby

from kira.adapters.database.postgres import PostgresConfig, ReplicaConfig, create_database
from kira.adapters.database.postgres.embedded import Embedded
from kira.domain.errors import KiraError, WrongSetting


async def test_a_dead_replica_costs_a_warning_and_is_asked_again_when_it_is_back(
    pair: Pair, warnings: Callable[[], list[str]]
) -> None:
    died, own = mortal(pair)
    try:
        await own.catch_up()
        database = await own.instance()
        assert database.replica is not None
        assert await titles(database) == [f"old {ANNA}"]
        assert warnings() == []
        died.stop(signal.SIGQUIT)
        for _ in range(3):
            assert await asyncio.gather(*(titles(database) for _ in range(5))) == [[f"old {ANNA}"]] * 5
            await database.replica.look()
        assert len(warnings()) == 1
        asked = database.replica.pool.executed
        assert await titles(database) == [f"old {ANNA}"]
        assert database.replica.pool.executed == asked, "who is passed over is not asked"
        died = Embedded(died.folder, options=FAST)
        await database.replica.look()
        assert await titles(database) == [f"old {ANNA}"]
        assert database.replica.pool.executed > asked
        assert len(warnings()) == 1
        await database.close()
    finally:
        died.stop(signal.SIGQUIT)
        shutil.rmtree(died.folder.parent)


async def test_a_replica_that_learns_late_where_tables_are_is_asked_from_then_on(pair: Pair) -> None:
    where = f"ALTER ROLE kira_app IN DATABASE {pair.name}"
    pair.primary(f"{where} RESET search_path")
    await pair.catch_up()
    database = create_database(
        PostgresConfig(f"{pair.app} options='-c search_path=kira'"), replica=ReplicaConfig(pair.replica_app)
    )
    pair.opened.append(database)
    assert database.replica is not None
    with pytest.raises(KiraError):  # a connection of that time
        await database.replica._shown()
    await database.replica.look()
    assert not database.replica._is_fit
    pair.primary(f"{where} SET search_path = kira")
    await pair.catch_up()
    await database.replica.look()
    asked = database.replica.pool.executed
    assert await titles(database) == [f"old {ANNA}"]
    assert database.replica.pool.executed > asked


async def test_a_replica_that_hangs_is_not_waited_for(pair: Pair, warnings: Callable[[], list[str]]) -> None:
    database = await pair.instance(wait_s=0.3)
    with psycopg.connect(pair.own) as holder:
        # The lock reaches the replica, and its end does not.
        holder.execute("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE; DELETE FROM attempts")
        await pair.pause()
    assert await titles(database) == [f"old {ANNA}"]
    assert await titles(database) == [f"old {ANNA}"]
    assert len(warnings()) == 1


async def test_a_replica_that_lags_is_not_asked(pair: Pair, warnings: Callable[[], list[str]]) -> None:
    database = await pair.instance(lag_s=1.5)
    assert database.replica is not None
    await pair.pause()
    pair.primary("UPDATE conversations SET title = 'new'")
    assert await titles(database) == [f"old {ANNA}"]
    for _ in range(2):
        await database.replica.look()
        assert await titles(database) == ["new"]
    assert len(warnings()) == 1
    await pair.resume()
    await database.replica.look()
    asked = database.replica.pool.executed
    assert await titles(database) == ["new"]
    assert database.replica.pool.executed > asked


async def test_a_replica_of_another_database_is_not_asked(pair: Pair, warnings: Callable[[], list[str]]) -> None:
    other = str(psycopg.conninfo.conninfo_to_dict(fresh("postgres")[0])["dbname"])
    await pair.catch_up()
    pair.replica_app = standby().address("kira_app", other)
    database = await pair.instance(lag_s=0.3)
    assert await titles(database) == [f"old {ANNA}"]
    assert len(warnings()) == 1


async def test_a_start_needs_no_replica_but_refuses_one_that_lets_it_past_row_security(
    pair: Pair, warnings: Callable[[], list[str]]
) -> None:
    pair.replica_app = "postgresql://kira_app@127.0.0.1:1/kira"
    database = await pair.instance()
    assert await titles(database) == [f"old {ANNA}"]
    assert len(warnings()) == 1
    for address in (standby().address(), standby().address("kira_app")):
        with pytest.raises(WrongSetting, match="KIRA_DATABASE_READ"):
            create_database(PostgresConfig(pair.app), replica=ReplicaConfig(address))


async def test_the_first_look_is_begun_by_who_asks_and_waited_for_by_nobody(pair: Pair) -> None:
    database = create_database(PostgresConfig(pair.app), replica=ReplicaConfig(pair.replica_app))
    pair.opened.append(database)
    replica = database.replica
    assert replica is not None
    assert await titles(database) == [f"old {ANNA}"]
    while not replica.is_fit():
        await asyncio.sleep(0.02)
