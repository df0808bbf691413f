"""A server that goes, comes, ends connections or refuses: a sentence for now, and afterwards all works by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.adapters.database.catalogues import forge, write
from tests.engines import FAST, SERVERS, Postgres, binaries, folder_of_server

from kira.adapters.database.catalogue import Catalogue, load
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase
from kira.adapters.database.postgres.embedded import Embedded
from kira.adapters.database.postgres.init import init
from kira.domain.errors import KiraError, Unavailable
from kira.ports.database import Call, Database

USER = "018f0000-0000-7000-8000-00000000000a"
OURS = "usename = 'kira_app' AND datname = current_database()"
STATEMENTS = {
    "sleep": "SELECT pg_sleep(60)",
    "count": f"SELECT COUNT(*) AS found FROM pg_stat_activity WHERE {OURS}",
}


def add(name: str) -> dict[str, object]:
    return {"conversation_id": name, "title": "t", "titled_by": "user", "now": 1}


async def names(database: Database) -> set[str]:
    return {row["id"] for row in await database.of(USER).query("conversations.page", {"items": 500})}


async def recovered(database: Database) -> set[str]:
    """Ask until there is an answer, as a person would; a database that does not come back never ends this."""
    while True:
        try:
            return await names(database)
        except Unavailable:
            await asyncio.sleep(0.02)


async def settle(database: Database) -> None:
    await database.system.execute("accounts.add_local", {"id": USER, "name": "You", "now": 1})


class Own:
    """A server of a test's own that can be ended and started again on its folder."""

    def __init__(self, kind: str, *options: str) -> None:
        """Start it and make it ready."""
        self.kind, self.options, self.folder = kind, options, folder_of_server() / "pg"
        self.server = self.start()
        self.address = init(self.server.address(), "x").address

    def start(self) -> Embedded:
        self.server = Embedded(self.folder, binaries=binaries(self.kind), options=self.options)
        return self.server

    def kill(self) -> None:
        """End it and all of its processes at once, like a failure of the computer."""
        pid = self.server.process.pid
        children = [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for process in (pid, *children):
            os.kill(process, signal.SIGKILL)
        self.server.process.wait()

    def database(self, *, wait_s: float = 10, connect_s: float = 5, connections: int = 4) -> PostgresDatabase:
        config = PostgresConfig(self.address, connections, wait_s=wait_s, connect_s=connect_s)
        return PostgresDatabase(config, load("postgres"))


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    made = Own("postgres")
    yield made
    made.server.stop()


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_restart_loses_nothing_that_was_acknowledged(own: Own, how: str) -> None:
    database = own.database(wait_s=0.2, connect_s=0.2)
    with suppress(KiraError):
        await settle(database)
    kept = {f"{how}{number}" for number in range(20)}
    await asyncio.gather(*(database.of(USER).execute("conversations.add", add(name)) for name in kept))
    own.server.stop() if how == "stopped" else own.kill()
    for _ in range(3):
        with pytest.raises(Unavailable) as told:
            await names(database)
        assert told.value.retry_after_s > 0
        assert "postgres" not in told.value.message.lower()
    own.start()
    assert await recovered(database) >= kept
    await database.close()


async def test_connections_that_a_restart_cut_are_not_handed_out(own: Own) -> None:
    database = own.database()
    with suppress(KiraError):
        await settle(database)
    await asyncio.gather(*(names(database) for _ in range(20)))
    own.server.stop()
    own.start()
    assert isinstance(await names(database), set)
    await database.close()


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_restart_in_the_middle_of_a_transaction_undoes_it(own: Own, how: str) -> None:
    database = own.database()
    with suppress(KiraError):
        await settle(database)
    with pytest.raises(Unavailable):
        async with database.of(USER).transaction() as rows:
            await rows.execute("conversations.add", add(f"half {how}"))
            own.server.stop() if how == "stopped" else own.kill()
            await rows.execute("conversations.add", add(f"other half {how}"))
    own.start()
    assert not {f"half {how}", f"other half {how}"} & await recovered(database)
    with pytest.raises(Unavailable):
        async with database.of(USER).transaction() as rows:
            await rows.execute("conversations.add", add(f"end {how}"))
            own.server.stop() if how == "stopped" else own.kill()
    own.start()
    assert f"end {how}" not in await recovered(database), "nobody was told that it happened"
    await database.close()


async def test_more_wanted_than_the_server_allows_is_served_by_what_there_is() -> None:
    own = Own("postgres", *FAST, "-c", "max_connections=6", "-c", "superuser_reserved_connections=2")
    database = own.database(connections=10)
    await settle(database)
    adds = (database.of(USER).execute("conversations.add", add(str(number))) for number in range(100))
    assert await asyncio.gather(*adds) == [1] * 100
    await database.close()
    others = [psycopg.connect(own.address) for _ in range(4)]
    database = own.database(wait_s=0.1, connect_s=0.1)
    with pytest.raises(Unavailable):
        await names(database)
    for other in others:
        other.close()
    assert len(await recovered(database)) == 100
    await database.close()
    own.server.stop()


# What needs no server of its own


class Place:
    """A database with one user, statements that sleep, and settings of the application's role."""

    def __init__(self, kind: str, folder: Path) -> None:
        """Make it."""
        self.engine, self.folder = Postgres(kind), folder
        self.catalogue: Catalogue = forge(
            write(folder / "sql", STATEMENTS), dict.fromkeys(STATEMENTS, ([], None)), "postgres"
        )
        own = load("postgres")
        self.catalogue = Catalogue({**own.tenant, **self.catalogue.tenant}, own.system)
        self.run("INSERT INTO users (id, name, role, created_at) VALUES (?, 'You', 'user', 1)", USER)
        self.opened: list[PostgresDatabase] = []

    def run(self, sql: str, *values: object) -> None:
        self.engine.past(self.folder, sql, *values)

    def set(self, setting: str) -> None:
        """Give connections that are opened from now on another setting."""
        name = self.engine.past(self.folder, "SELECT current_database()")[0][0]
        self.run(f"ALTER ROLE kira_app IN DATABASE {name} SET {setting}")

    def open(self, connections: int = 3, wait_s: float = 10) -> PostgresDatabase:
        config = PostgresConfig(self.engine.address(self.folder), connections, wait_s=wait_s, name="kira of a test")
        self.opened.append(PostgresDatabase(config, self.catalogue))
        return self.opened[-1]


@pytest.fixture(params=SERVERS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(request.param, tmp_path)
    yield made
    for database in made.opened:
        await database.close()


END = f"SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE {OURS}"


async def test_connections_that_are_ended_fail_what_runs_on_them_and_nothing_later(place: Place) -> None:
    database = place.open()
    assert await names(database) == set()
    asleep = [asyncio.create_task(database.of(USER).query("test.sleep")) for _ in range(2)]
    while (
        len(place.engine.past(place.folder, "SELECT 1 FROM pg_stat_activity WHERE left(query, 15) = 'SELECT pg_sleep'"))
        < 2
    ):
        await asyncio.sleep(0.01)
    place.run(END)
    assert [type(each) for each in await asyncio.gather(*asleep, return_exceptions=True)] == [Unavailable] * 2
    for _ in range(5):
        place.run(END)
        assert await names(database) == set()


@pytest.mark.parametrize("setting", ["statement_timeout = '50ms'", "default_transaction_read_only = on"])
async def test_what_the_server_refuses_or_ends_is_told_and_goes_by(place: Place, setting: str) -> None:
    before = place.open()
    await before.of(USER).execute("conversations.add", add("a"))
    place.set(setting)
    database = place.open()
    name, given = ("test.sleep", {}) if "timeout" in setting else ("conversations.add", add("b"))
    for _ in range(5):
        with pytest.raises(Unavailable) as told:
            await database.of(USER).execute(name, given)
        assert told.value.retry_after_s > 0
        assert await names(database) == {"a"}


async def test_a_lock_is_not_awaited_for_ever(place: Place) -> None:
    place.set("lock_timeout = '50ms'")
    database = place.open()
    with psycopg.connect(place.engine.address(place.folder, "postgres")) as other:
        other.execute("LOCK TABLE kira.conversations")
        for call in (Call("conversations.add", add("a")), Call("conversations.page", {"items": 9})):
            with pytest.raises(Unavailable):
                await database.of(USER).run([call])
        with pytest.raises(Unavailable):
            async with database.of(USER).transaction() as rows:
                await rows.execute("conversations.add", add("a"))
    assert await names(database) == set()


async def test_many_are_served_by_few_connections(place: Place) -> None:
    database = place.open(connections=3)
    others = [f"018f0000-0000-7000-8000-0000000001{number:02}" for number in range(20)]
    work = [database.of(others[number % 20]).query("test.count") for number in range(200)]
    seen = {row["found"] for rows in await asyncio.gather(*work) for row in rows}
    assert max(seen) <= 3
    told = place.engine.past(
        place.folder,
        f"SELECT DISTINCT application_name FROM pg_stat_activity WHERE {OURS}",
    )
    assert told == [("kira of a test",)]


async def test_who_waits_too_long_for_a_connection_is_told_when_to_come_again(place: Place) -> None:
    database = place.open(connections=1, wait_s=0.05)
    async with database.of(USER).transaction() as rows:
        await rows.execute("conversations.add", add("a"))
        outcomes = await asyncio.gather(*(names(database) for _ in range(20)), return_exceptions=True)
        assert [type(each) for each in outcomes] == [Unavailable] * 20
        assert {each.retry_after_s for each in outcomes if isinstance(each, Unavailable)} == {2}
    assert await names(database) == {"a"}


async def test_callers_that_leave_give_their_connections_back(place: Place) -> None:
    database = place.open(connections=2)
    for _ in range(3):
        asleep = [asyncio.create_task(database.of(USER).query("test.sleep")) for _ in range(6)]

        async def hold() -> None:
            async with database.of(USER).transaction() as rows:
                await rows.execute("conversations.add", add("never"))
                await rows.query("test.sleep")

        holding = [asyncio.create_task(hold()) for _ in range(2)]
        await asyncio.sleep(0.03)
        for sleeper in (*asleep, *holding):
            sleeper.cancel()
        outcomes = await asyncio.gather(*asleep, *holding, return_exceptions=True)
        assert {type(each) for each in outcomes} == {asyncio.CancelledError}
        assert await names(database) == set()
    adds = [asyncio.create_task(database.of(USER).execute("conversations.add", add(str(n)))) for n in range(100)]
    await asyncio.sleep(0.005)
    for task in adds[::3]:
        task.cancel()
    kept = {str(n) for n, each in enumerate(await asyncio.gather(*adds, return_exceptions=True)) if each == 1}
    assert kept <= await names(database)
    assert len(kept) >= 66
