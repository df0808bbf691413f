"""Instances: what three of them on one PostgreSQL add to the first token, over one on a file."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp
import psycopg
from tests.bench.marks import Mark
from tests.bench.rig import (
    Answer,
    Process,
    client,
    direct,
    kira_up,
    model_server,
    through_kira,
    together,
    until_idle,
    users,
)
from tests.engines import fresh, server

COUNT = 100
INSTANCES = 3
ROUNDS = 3
SLOTS = 129
KEY = "a master key that three instances of a bench share"


def instances() -> list[Mark]:
    """Begin COUNT conversations at once on one instance on a file, and on INSTANCES on a server; in turns."""
    _, app = fresh("postgres")
    name = psycopg.conninfo.conninfo_to_dict(app)["dbname"]
    shared = {"KIRA_DATABASE": f"postgresql://kira_app@/{name}?host={server('postgres').socket_folder}"}
    common = {"KIRA_ACCOUNTS": "open", "KIRA_LIMIT_API": "off", "KIRA_LIMIT_CONVERSATION": "1000/1h"}
    common |= {"KIRA_MASTER_KEY": KEY, "OLLAMA_NUM_PARALLEL": str(SLOTS)}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        models = stack.enter_context(model_server(slots=SLOTS))
        one, many = Path(folder, "one"), Path(folder, "many")
        alone = asyncio.run(users(one, COUNT, master_key=KEY))
        together_ = asyncio.run(users(many, COUNT, master_key=KEY, database=shared["KIRA_DATABASE"]))
        kira = stack.enter_context(kira_up(one, models.address, KIRA_SLOTS=str(SLOTS), **common))
        each = str(SLOTS // INSTANCES)
        three = [
            stack.enter_context(kira_up(many, models.address, KIRA_SLOTS=each, **common, **shared))
            for _ in range(INSTANCES)
        ]
        return asyncio.run(_measure(models, [(kira, alone)], [(each_, together_) for each_ in three]))


Homes = list[tuple[Process, list[str]]]


async def _measure(models: Process, one: Homes, three: Homes) -> list[Mark]:
    added: dict[int, list[float]] = {1: [], INSTANCES: []}
    whole = 0
    async with client(models.address) as straight, AsyncExitStack() as stack:
        opened = [
            [(await stack.enter_async_context(client(home.address)), tokens) for home, tokens in homes]
            for homes in (one, three)
        ]
        for sessions in opened:
            for session, tokens in sessions:
                await through_kira(session, tokens[0], "warm up")
        await until_idle(straight)
        for _ in range(ROUNDS):
            plain = await together([direct(straight, f"question {n}") for n in range(COUNT)])
            base = statistics.median(each.first_s for each in plain)
            for sessions in opened:
                mine = await together([_ask(sessions, number) for number in range(COUNT)])
                await until_idle(straight)
                added[len(sessions)].append(statistics.median(each.first_s for each in mine) - base)
                whole += sum(each.whole for each in mine)
    alone, several = (statistics.median(added[count]) for count in (1, INSTANCES))
    rule = (
        f"p50 of {COUNT} new conversations at once minus the same straight at the model server, over {INSTANCES} "
        f"`kira up` on one PostgreSQL ({several * 1000:.0f} ms) over one on a file ({alone * 1000:.0f} ms), {ROUNDS} "
        "rounds in turns, all on the same 2 cores"
    )
    asked = 2 * ROUNDS * COUNT
    return [
        Mark("added time to first token, n = 100, three instances over one", several / alone, 1.5, "x", rule),
        Mark("answered whole on both homes, of 100", 100 * whole / asked, 100, "", rule, True),
    ]


async def _ask(sessions: list[tuple[aiohttp.ClientSession, list[str]]], number: int) -> Answer:
    session, tokens = sessions[number % len(sessions)]
    return await through_kira(session, tokens[number], f"question {number}")
