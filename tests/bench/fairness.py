"""Fairness: a light user behind a heavy one, and ten users with endless work."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

import aiohttp
from tests.bench.marks import Mark, jain
from tests.bench.rig import ask, client, direct, kira_up, model_server, stats, through_kira, until_idle, users

SLOTS = 4
HEAVY = 40
TOKENS = 100
USERS = 10
ENDLESS_SECONDS = 30.0
WAITING_EACH = 3


def heavy_and_light() -> list[Mark]:
    """A sends HEAVY messages, B sends one a second later."""
    with tempfile.TemporaryDirectory() as folder, model_server(slots=SLOTS, tokens=TOKENS) as server:
        tokens = asyncio.run(users(Path(folder), 2))
        settings = {"KIRA_ACCOUNTS": "open", "KIRA_LIMIT_API": "off", "KIRA_LIMIT_CONVERSATION": "off"}
        with kira_up(Path(folder), server.address, **settings) as kira:
            wait, refused = asyncio.run(_heavy_and_light(kira.address, tokens))
    rule = f"{SLOTS} slots, B's first token after B's request, over the time of one answer; slots found out by Kira"
    return [
        Mark("B behind A's 40, in service times", wait, 1.1, "", rule, peers="9.7; 9.4"),
        Mark("refused of 41", refused, 0, "", rule, peers="none; none"),
    ]


async def _heavy_and_light(address: str, tokens: list[str]) -> tuple[float, int]:
    async with client(address) as session:
        for _ in range(3):  # the model is loaded and its slots are found
            await through_kira(session, tokens[0], "warm up")
        alone = await through_kira(session, tokens[0], "one answer alone")
        heavy = [asyncio.create_task(through_kira(session, tokens[0], f"heavy {n}")) for n in range(HEAVY)]
        await asyncio.sleep(1)
        light = await through_kira(session, tokens[1], "light")
        answers = [light, *await asyncio.gather(*heavy)]
        refused = sum(not answer.whole for answer in answers)
        return light.first_s / alone.total_s, refused


def endless() -> list[Mark]:
    """Ten users keep runs waiting all the time; beside it the same work straight at the model server, FIFO."""
    with tempfile.TemporaryDirectory() as folder, model_server(slots=SLOTS, tokens=TOKENS) as server:
        tokens = asyncio.run(users(Path(folder), USERS))
        settings = {"KIRA_ACCOUNTS": "open", "KIRA_LIMIT_API": "off", "KIRA_LIMIT_CONVERSATION": "off"}
        with kira_up(Path(folder), server.address, **settings) as kira:
            received, throughput, empty = asyncio.run(_endless(kira.address, server.address, tokens))
    rule = f"{USERS} users x {WAITING_EACH} waiting runs for {ENDLESS_SECONDS:.0f} s on {SLOTS} slots; user n asks for "
    rule += "answers of different lengths; tokens as the clients received them"
    return [
        Mark("Jain's index over tokens", jain(received), 0.95, "", rule, True),
        Mark("throughput over plain FIFO", throughput, 0.95, "", rule + "; from the model server's own count", True),
        Mark("time a slot stands empty", empty * 100, 3, "%", rule + "; from the model server's own count"),
    ]


async def _endless(address: str, server: str, tokens: list[str]) -> tuple[list[float], float, float]:
    """Return tokens by user, throughput over plain FIFO, and the share of time that slots stood empty."""
    async with client(address) as session, client(server) as straight:
        for _ in range(3):
            await through_kira(session, tokens[0], "warm up")
        await asyncio.sleep(0.5)
        before = await stats(straight)
        end = time.perf_counter() + ENDLESS_SECONDS
        counts = [0.0] * USERS
        ways = [_user(session, tokens[n], n, counts, end) for n in range(USERS) for _ in range(WAITING_EACH)]
        await asyncio.gather(*ways)
        after = await stats(straight)
        busy = (after["busy_s"] - before["busy_s"]) / (SLOTS * ENDLESS_SECONDS)
        through = after["tokens"] - before["tokens"]
        await until_idle(straight)
        return counts, through / await _plain(straight), max(0.0, 1 - busy)


async def _user(session: aiohttp.ClientSession, token: str, number: int, counts: list[float], end: float) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    while (left := end - time.perf_counter()) > 0:
        run_id = await ask(session, headers, f"endless {number}")
        assert run_id is not None, "refused, although nothing limits it"
        try:
            async with asyncio.timeout(left):
                await _count(session, headers, run_id, number, counts)
        except TimeoutError:
            return


async def _count(
    session: aiohttp.ClientSession, headers: dict[str, str], run_id: str, number: int, counts: list[float]
) -> None:
    kind = ""
    async with session.get(f"/api/runs/{run_id}/events", headers=headers) as response:
        async for line in response.content:
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif kind == "delta" and line.startswith(b"data: "):
                counts[number] += line.count(b" ")


async def _plain(straight: aiohttp.ClientSession) -> float:
    """Return the tokens of as many streams straight at the server, which serves first in, first out."""
    before = await stats(straight)
    end = time.perf_counter() + ENDLESS_SECONDS

    async def one(number: int) -> None:
        while (left := end - time.perf_counter()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await direct(straight, f"endless {number}")

    await asyncio.gather(*(one(number) for number in range(USERS * WAITING_EACH)))
    return (await stats(straight))["tokens"] - before["tokens"]
