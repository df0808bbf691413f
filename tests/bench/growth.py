"""Growth: the same requests on a file with a million messages and on one with a thousand."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
from tests.bench.marks import Mark
from tests.bench.rig import client, kira_up, users
from tests.bench.start import NOBODY

from kira.domain.ids import new_id

SMALL, LARGE = 1_000, 1_000_000
USERS = 100
MESSAGES_EACH = 20
REQUESTS = 300


def growth() -> list[Mark]:
    """Measure list, read and send alternately on both files."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        tokens = [asyncio.run(_filled(data, count)) for data, count in ((small, SMALL), (large, LARGE))]
        settings = {"KIRA_ACCOUNTS": "open", "KIRA_LIMIT_API": "off", "KIRA_LIMIT_CONVERSATION": "off"}
        with kira_up(small, NOBODY, **settings) as one, kira_up(large, NOBODY, **settings) as two:
            ratios = asyncio.run(_ratios((one.address, tokens[0]), (two.address, tokens[1])))
    rule = f"median of {REQUESTS} requests each, alternately, 1,000,000 messages over 1,000 in the file"
    return [Mark(f"{name} with a million messages", ratio, 1.2, "x", rule) for name, ratio in ratios.items()]


async def _filled(data: Path, messages: int) -> str:
    tokens = await users(data, 2)
    with sqlite3.connect(data / "kira.sqlite") as file:
        mine = file.execute("SELECT id FROM users WHERE email = 'user0@example.org'").fetchone()[0]
        now = time.time_ns() // 1000
        others = [new_id() for _ in range(USERS)]
        file.executemany(
            "INSERT INTO users (id, email, name, role, created_at) VALUES (?, ?, 'other', 'user', ?)",
            [(other, f"{other}@example.org", now) for other in others],
        )
        for number in range(messages // MESSAGES_EACH):
            owner = mine if number < SMALL // MESSAGES_EACH // 2 else others[number % USERS]
            _conversation(file, owner, now + number)
    return tokens[0]


def _conversation(file: sqlite3.Connection, owner: str, now: int) -> None:
    conversation, parent = new_id(), ""
    file.execute(
        "INSERT INTO conversations (user_id, id, title, titled_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        (owner, conversation, "A conversation", "words", now, now),
    )
    rows = []
    for number in range(MESSAGES_EACH):
        text = f"message {number} about fair queues and {owner[:8]}"
        message = new_id()
        rows.append((owner, message, conversation, parent or None, ("user", "assistant")[number % 2], text, text, now))
        parent = message
    file.executemany(
        "INSERT INTO messages (user_id, id, conversation_id, parent_id, role, content, search_text, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    file.execute("UPDATE conversations SET leaf_id = ? WHERE user_id = ? AND id = ?", (parent, owner, conversation))


async def _ratios(small: tuple[str, str], large: tuple[str, str]) -> dict[str, float]:
    times: dict[str, list[list[float]]] = {name: [[], []] for name in ("list", "read", "send")}
    async with client(*small) as one, client(*large) as two:
        conversations = [await _newest(session) for session in (one, two)]
        for number in range(REQUESTS):
            for which, session in enumerate((one, two)):
                path = f"/api/conversations/{conversations[which]}/messages"
                times["list"][which].append(await _timed(session, "GET", "/api/conversations"))
                times["read"][which].append(await _timed(session, "GET", path))
                if number < 40:  # nobody answers, so waiting runs are bounded
                    times["send"][which].append(await _timed(session, "POST", path, {"content": "how fair is fair?"}))
    return {name: statistics.median(two) / statistics.median(one) for name, (one, two) in times.items()}


async def _newest(session: aiohttp.ClientSession) -> str:
    async with session.get("/api/conversations") as response:
        return str((await response.json())["items"][0]["id"])


async def _timed(session: aiohttp.ClientSession, method: str, path: str, body: object = None) -> float:
    began = time.perf_counter()
    async with session.request(method, path, json=body) as response:
        await response.read()
        assert response.status < 300, await response.text()
    return time.perf_counter() - began
