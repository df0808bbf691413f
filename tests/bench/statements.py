"""Statements: how many the database runs for one message from question to answer, and for one light read."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

import aiohttp
from tests.bench.marks import Mark
from tests.bench.rig import client, kira_up, model_server, through_kira, users

MESSAGES = 20


def statements() -> list[Mark]:
    """Read Kira's own count of statements before and after; the few of its clock that fall into it count as well."""
    with tempfile.TemporaryDirectory() as folder, model_server(slots=20, tokens=20) as server:
        tokens = asyncio.run(users(Path(folder), MESSAGES))
        settings = {"KIRA_ACCOUNTS": "open", "OLLAMA_NUM_PARALLEL": "20", "KIRA_SLOTS": "20"}
        with kira_up(Path(folder), server.address, **settings) as kira:
            message, read = asyncio.run(_count(kira.address, tokens))
    both = "limits on as by default with accounts; MESSAGES users at once, whole count over their number"
    return [
        Mark("SQL statements in the life of one message", message, 12, "", both, peers="~300; -"),
        Mark("SQL statements in one light read", read, 2, "", both, peers="~7; -"),
    ]


async def _count(address: str, tokens: list[str]) -> tuple[float, float]:
    async with client(address) as session:
        await through_kira(session, tokens[0], "warm up")
        await asyncio.sleep(3)
        conversations = [await _begin(session, token) for token in tokens]
        before = await _statements(session)
        await asyncio.gather(*(_message(session, *each) for each in zip(tokens, conversations, strict=True)))
        message = (await _statements(session) - before) / MESSAGES
        await asyncio.sleep(3)
        before = await _statements(session)
        for token in tokens:
            async with session.get("/api/conversations", headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == 200
        return message, (await _statements(session) - before) / MESSAGES


async def _begin(session: aiohttp.ClientSession, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    async with session.post("/api/conversations", headers=headers, json={"title": "Counted"}) as response:
        return str((await response.json())["id"])


async def _message(session: aiohttp.ClientSession, token: str, conversation: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/api/conversations/{conversation}/messages"
    async with session.post(path, headers=headers, json={"content": "count me"}) as response:
        run_id = (await response.json())["run"]["id"]
    async with session.get(f"/api/runs/{run_id}/events", headers=headers) as response:
        assert b"event: done" in await response.read()


async def _statements(session: aiohttp.ClientSession) -> int:
    async with session.get("/metrics") as response:
        found = re.search(r"^kira_statements_total (\d+)", await response.text(), re.MULTILINE)
        assert found
        return int(found[1])
