"""Light reads: how many authenticated lists of conversations a second, and how many statements each costs."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from tests.bench.marks import Mark
from tests.bench.rig import client, kira_up, users
from tests.bench.start import NOBODY
from tests.bench.wire import Wire

CONNECTIONS = 20
SECONDS = 5.0
CONVERSATIONS = 3


def reads() -> list[Mark]:
    """Read for SECONDS over CONNECTIONS keep-alive connections, each of its own user, limiter on with a high limit."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = asyncio.run(users(Path(folder), CONNECTIONS))
        settings = {"KIRA_ACCOUNTS": "open", "KIRA_LIMIT_API": "1000000/1m"}
        with kira_up(Path(folder), NOBODY, **settings) as kira:
            asyncio.run(_fill(kira.address, tokens))
            rate = asyncio.run(_read(kira.address, tokens))
    rule = (
        f"GET /api/conversations, {CONNECTIONS} connections for {SECONDS:.0f} s, {CONVERSATIONS} conversations each, "
        "every answer 200 and whole, client on the same 2 cores"
    )
    return [Mark("light reads per second", rate, 3000, "/s", rule, True, "145; 364")]


async def _fill(address: str, tokens: list[str]) -> None:
    async with client(address) as session:
        for token in tokens:
            for _ in range(CONVERSATIONS):
                headers = {"Authorization": f"Bearer {token}"}
                async with session.post("/api/conversations", headers=headers) as response:
                    assert response.status == 201


async def _read(address: str, tokens: list[str]) -> float:
    wires = [await Wire.open(address, "/api/conversations", token) for token in tokens]
    began = time.perf_counter()
    counts = await asyncio.gather(*(_until(wire, began + SECONDS) for wire in wires))
    seconds = time.perf_counter() - began
    for wire in wires:
        wire.close()
    return sum(counts) / seconds


async def _until(wire: Wire, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        await wire.get()
        count += 1
    return count
