"""The second home: what row security, a distant server, another instance and its wake-ups cost."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
from tests.bench.link import link
from tests.bench.marks import Mark
from tests.engines import fresh, server

from kira.adapters.clock.system import SystemClock
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase, create_database
from kira.adapters.database.postgres.listener import Listener
from kira.adapters.queue.table import TableQueue
from kira.domain.ids import new_id
from kira.domain.limits import Limit
from kira.domain.moments import HOUR, MINUTE
from kira.domain.search import parse
from kira.ports.database import Call, Database, NoRow

ANNA, BELA = "018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b"
SESSION = "018f0000-0000-7000-8000-00000000000c"
LINK_MS = 1.0
ROUNDS = 300
PAIRS = 15
MESSAGES = 100_000
RARE, OTHERS = 5, 500
TRIES = 500
INSTANCES = 3

Work = Callable[[], Awaitable[object]]


def second_home() -> list[Mark]:
    """Measure everything on one PostgreSQL 18 from the wheel, on this machine."""
    return asyncio.run(_measure())


async def _measure() -> list[Mark]:
    own, address = fresh("postgres")
    with psycopg.connect(own, autocommit=True) as connection:
        _fill(connection)
    async with _opened(address) as walled, _opened(own, past=True) as bare:
        return [
            await _round_trips(address),
            *await _row_security(walled, bare),
            await _search(walled, bare),
            await _limiter(address),
            await _wake_up(address),
        ]


@asynccontextmanager
async def _opened(address: str, *, past: bool = False, connections: int = 4) -> AsyncIterator[PostgresDatabase]:
    """Open the database; `past` row security as the superuser, whom `create_database` refuses, for comparison only."""
    config = PostgresConfig(address, connections=connections)
    if past:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres SET search_path = kira")
        made = PostgresDatabase(config, create_database(_application(address)).catalogue)
    else:
        made = await asyncio.to_thread(create_database, config)  # it looks without this loop, which runs the link
    yield made
    await made.close()


def _application(address: str) -> PostgresConfig:
    return PostgresConfig(address.replace("user=postgres", "user=kira_app"))


def _fill(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Give Anna MESSAGES messages, RARE of them with a rare word, and Bela as many, with that word in OTHERS."""
    connection.execute("SET search_path = kira")
    for user_id, rare in ((ANNA, RARE), (BELA, OTHERS)):
        connection.execute(
            "INSERT INTO users (id, email, name, role, created_at) VALUES (%s, %s, 'N', 'user', 1)", (user_id, user_id)
        )
        connection.execute(
            "INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at) "
            "VALUES (%s, %s, %s, 'd', 1, 1, 9000000000000000)",
            (user_id, SESSION, user_id),
        )
        connection.execute(
            "INSERT INTO conversations (user_id, id, title, created_at, updated_at) VALUES (%s, 'c', 't', 1, 1)",
            (user_id,),
        )
        connection.execute(
            "INSERT INTO messages (user_id, id, conversation_id, role, content, search_text, created_at) "
            "SELECT %s, 'm' || lpad(n::text, 9, '0'), 'c', 'user', t, t, n FROM (SELECT n, 'common filler' "
            "|| (n %% 97) || CASE WHEN n %% %s = 0 THEN ' xylophone' ELSE '' END AS t "
            "FROM generate_series(1, %s) n) s",
            (user_id, MESSAGES // rare, MESSAGES),
        )
    connection.execute("ANALYZE")


async def _timed(work: Work, rounds: int = ROUNDS) -> list[float]:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        found.append(time.perf_counter() - began)
    return found


async def _paired(one: Work, two: Work, rounds: int = 100) -> float:
    """Return the median over PAIRS of the ratio of the medians of `one` over `two`, measured in turns."""
    ratios = [
        statistics.median(await _timed(one, rounds)) / statistics.median(await _timed(two, rounds))
        for _ in range(PAIRS)
    ]
    return statistics.median(ratios)


async def _round_trips(address: str) -> Mark:
    limit = Limit("api", 1_000_000, MINUTE)
    async with link(server("postgres").socket_folder / ".s.PGSQL.5432", LINK_MS / 1000) as (host, port):
        name = address.split("dbname=")[1].split(maxsplit=1)[0]
        far = f"host={host} port={port} dbname={name} user=kira_app"
        async with _opened(far, connections=1) as database:
            rows = database.of(ANNA)

            async def request() -> None:
                now = time.time_ns() // 1000
                guard = {"session_id": SESSION, "now": now, "interval": limit.interval, "tolerance": limit.tolerance}
                page = {"conversation_id": "c", "before": "z", "items": 50}
                await rows.run([Call("guard.api", guard, must=True), Call("messages.page", page)])

            async with database.pool.connection() as connection:
                floor = statistics.median(await _timed(lambda: connection.execute("SELECT 1")))
            await request()
            figure = statistics.median(await _timed(request)) / floor
    rule = f"median of {ROUNDS} requests over a link of {LINK_MS:g} ms each way, over `SELECT 1` on the same link"
    return Mark("round trips of identity, limiter and read", figure, 1.4, "", rule, peers="naive: 5.1")


async def _row_security(walled: Database, bare: Database) -> list[Mark]:
    page = {"conversation_id": "c", "before": "z", "items": 50}

    def read(database: Database) -> Work:
        return lambda: database.of(ANNA).query("messages.page", page)

    async def many(database: Database) -> object:
        return await asyncio.gather(*(read(database)() for _ in range(40)))

    latency = await _paired(read(walled), read(bare))
    busy = await _paired(lambda: many(walled), lambda: many(bare), 5)
    rule = "the newest 50 of 100,000 messages through Kira's adapter, as its role over as one above row security"
    return [
        Mark("50 newest messages with row security, latency", latency, 1.10, "x", rule),
        Mark("50 newest messages with row security, throughput", 1 / busy, 0.90, "x", f"{rule}, 40 at once", True),
    ]


async def _search(walled: PostgresDatabase, bare: PostgresDatabase) -> Mark:
    asked = parse("xylophone")
    assert asked is not None
    params = {"match": walled.match(asked, ANNA), "items": 50}
    # The index first: left alone, the server reads the newest messages one by one and hopes to meet the word.
    plain = (
        "WITH found AS MATERIALIZED (SELECT * FROM messages WHERE user_id = %s AND words @@ 'xylophone'::tsquery) "
        "SELECT m.id, m.conversation_id, m.role, m.content, m.created_at, c.title FROM found m "
        "JOIN conversations c ON c.user_id = m.user_id AND c.id = m.conversation_id ORDER BY m.id DESC LIMIT 50"
    )

    async def without() -> None:
        async with bare.pool.connection() as connection, connection.pipeline():
            await connection.execute("SELECT 1")  # as many statements as with an identity
            await connection.execute(plain, (ANNA,))

    found = await walled.of(ANNA).query("search.messages", params)
    assert len(found) == RARE
    ratio = await _paired(lambda: walled.of(ANNA).query("search.messages", params), without)
    rule = (
        f"a word in {RARE} of a user's 100,000 messages and {OTHERS} of another's, as Kira searches over the plain "
        "query above row security"
    )
    return Mark("search for a rare word with row security", ratio, 1.2, "x", rule, peers="naive: 22")


async def _limiter(address: str) -> Mark:
    limit = Limit("shared", 100, HOUR)
    admitted = 0
    databases = [create_database(PostgresConfig(address, connections=5)) for _ in range(INSTANCES)]

    async def take(number: int) -> None:
        nonlocal admitted
        now = time.time_ns() // 1000
        params = {"name": limit.name, "now": now, "interval": limit.interval, "tolerance": limit.tolerance}
        try:
            await databases[number % INSTANCES].of(BELA).run([Call("guard.limit", params, must=True)])
        except NoRow:
            return
        admitted += 1

    for first in range(0, TRIES, 50):
        await asyncio.gather(*(take(number) for number in range(first, first + 50)))
    for database in databases:
        await database.close()
    rule = f"{TRIES} tries by 50 tasks over {INSTANCES} pools, limit {limit.count} an hour; distance from it"
    return Mark("limiter over three instances, off by", abs(admitted - limit.count), 0, "", rule)


async def _wake_up(address: str) -> Mark:
    async with _opened(address) as here, _opened(address) as there:
        clock, heard = SystemClock(), asyncio.Event()
        queue = TableQueue(there, clock)
        listener = Listener(PostgresConfig(address))
        listener.hear("kira_runs", lambda _: heard.set())
        await listener.start()
        assert listener.hears
        waits = []
        for _ in range(ROUNDS):
            heard.clear()
            params: dict[str, object] = {"run_id": new_id(), "kind": "reply", "background": 0, "model": "m"}
            params |= {"message_id": "m000000001", "default_model": "m", "waiting_max": 10_000, "now": clock.now()}
            await here.of(ANNA).run([Call("runs.add", params, must=True)])
            began = time.perf_counter()
            await heard.wait()
            claims = await queue.receive({"m": 1}, "bench")
            waits.append((time.perf_counter() - began) * 1000)
            assert len(claims) == 1
            await there.of(ANNA).execute("runs.finish", _end(claims[0].run_id, claims[0].lease, clock.now()))
        await listener.close()
    rule = f"median of {ROUNDS}: a run committed on one instance until another has claimed it, woken by NOTIFY"
    return Mark("wake-up of another instance", statistics.median(waits), 10, "ms", rule)


def _end(run_id: str, lease: str, now: int) -> dict[str, object]:
    gone = dict.fromkeys(("answer_id", "error_code", "error_message", "prompt_tokens", "completion_tokens"))
    return {"run_id": run_id, "lease": lease, "state": "done", "now": now, **gone}
