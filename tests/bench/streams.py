"""Streams: what Kira adds to the first token, whether all answers come whole, and what a token costs."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

from tests.bench.marks import Mark
from tests.bench.rig import (
    Process,
    client,
    direct,
    kira_up,
    model_server,
    stats,
    through_kira,
    together,
    until_idle,
    users,
)

GOALS = {1: 10, 20: 40, 100: 150}  # milliseconds added, by number of users
PEERS = {1: "103 ms; 14 ms", 20: "1,156 ms; 177 ms", 100: "5,900 ms; 1,631 ms"}
ROUNDS = 3
TOKENS = 100
SLOTS = 128


def streams() -> list[Mark]:
    """Run all rounds on one model server and one Kira."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = asyncio.run(users(Path(folder), 100))
        settings = {"KIRA_ACCOUNTS": "open", "KIRA_SLOTS": str(SLOTS), "KIRA_LIMIT_API": "off"}
        settings["KIRA_LIMIT_CONVERSATION"] = "1000/1h"
        settings["OLLAMA_NUM_PARALLEL"] = str(SLOTS)
        with (
            model_server(slots=SLOTS, tokens=TOKENS) as server,
            kira_up(Path(folder), server.address, **settings) as kira,
        ):
            return asyncio.run(_measure(server, kira, tokens))


async def _measure(server: Process, kira: Process, tokens: list[str]) -> list[Mark]:
    marks: list[Mark] = []
    async with client(server.address) as straight, client(kira.address) as through:
        await through_kira(through, tokens[0], "warm up")  # the first answer loads the model
        await until_idle(straight)
        for count, goal in GOALS.items():
            added, whole, asked, cpu = [], 0, 0, []
            for _ in range(ROUNDS):
                plain = await together([direct(straight, f"question {n}") for n in range(count)])
                before, tokens_before = kira.cpu_s(), (await stats(straight))["tokens"]
                mine = await together([through_kira(through, tokens[n], f"question {n}") for n in range(count)])
                await until_idle(straight)  # titles are made after the answers; their tokens count like others
                cpu.append((kira.cpu_s() - before) * 1000 / ((await stats(straight))["tokens"] - tokens_before))
                middle = statistics.median(each.first_s for each in mine)
                added.append((middle - statistics.median(each.first_s for each in plain)) * 1000)
                whole += sum(each.whole and len(each.text.split()) >= TOKENS for each in mine)
                asked += count
            marks.append(_added(count, statistics.median(added), goal))
            if count == 100:
                rule = f"new conversations of 100 users at the same moment, {ROUNDS} rounds"
                marks.append(Mark("answered whole, of 100", 100 * whole / asked, 100, "", rule, True, "79 to 93; -"))
            if count == 20:
                rule = f"CPU of all Kira over all tokens of {count} conversations and titles, {ROUNDS} rounds"
                figure = statistics.median(cpu)
                marks.append(Mark("CPU per 1,000 tokens, n = 20", figure, 0.08, "s", rule, peers="0.92 to 1.24; 0.68"))
    return marks


def _added(count: int, figure: float, goal: float) -> Mark:
    rule = (
        f"p50 of {count} new conversations at the same moment (3 requests each, clock from the first) minus p50 of "
        f"the same client straight at the model server; median of {ROUNDS} rounds"
    )
    return Mark(f"added time to first token, n = {count}", figure, goal, "ms", rule, peers=PEERS[count])
