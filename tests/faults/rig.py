"""Users over HTTP who send, follow and remember what was acknowledged, while Kira is killed under them."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tests.local.rig import Running, rows

WORDS = 8
TOKENS_PER_SECOND = 25


@dataclass(slots=True)
class Sent:
    """One message: its key, its ids once they were acknowledged, and the text that was read of its answer."""

    user: int
    conversation: str
    key: str
    answer: str
    message: str | None = None
    run: str | None = None
    read: str = ""
    ended: bool = False


@dataclass
class Users:
    """Everybody's access tokens, and all they ever sent."""

    tokens: list[str]
    random: random.Random
    sent: dict[str, Sent] = field(default_factory=dict)
    by_run: dict[str, Sent] = field(default_factory=dict)
    whole: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self, kira: Running, messages: int, until: Callable[[], Any]) -> None:
        """Follow everything and send `messages` new ones until `until` is over; then Kira is killed."""
        self.whole.clear()
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(kira.address, timeout=timeout) as session:
            tasks = [asyncio.create_task(self._repeat(session, each)) for each in self.unacknowledged()]
            tasks += [asyncio.create_task(self._send_new(session, n % len(self.tokens))) for n in range(messages)]
            tasks += [asyncio.create_task(self._follow(session, user)) for user in range(len(self.tokens))]
            await until()
            kira.process.kill()
            kira.process.wait()
            await asyncio.gather(*tasks)

    @property
    def open(self) -> int:
        """How many messages have no end yet."""
        return sum(not each.ended for each in self.sent.values())

    def unacknowledged(self) -> list[Sent]:
        """Return what was sent and never answered with 202."""
        return [each for each in self.sent.values() if each.message is None]

    async def _send_new(self, session: aiohttp.ClientSession, user: int) -> None:
        await asyncio.sleep(self.random.uniform(0, 0.3))
        number = len(self.sent)
        answer = " ".join(f"{number}-{place}" for place in range(WORDS))
        sent = self.sent[str(number)] = Sent(user, "", f"key {number}", answer)
        await self._repeat(session, sent)

    async def _repeat(self, session: aiohttp.ClientSession, sent: Sent) -> None:
        """Send a message as a careful client does: with a key, again and again, until it is acknowledged."""
        headers = {"Authorization": f"Bearer {self.tokens[sent.user]}"}
        try:
            if not sent.conversation:
                body = {"title": "a title"} if self.random.random() < 0.9 else {}
                async with session.post("/api/conversations", json=body, headers=headers) as response:
                    sent.conversation = (await response.json())["id"]
            path = f"/api/conversations/{sent.conversation}/messages"
            headers["Idempotency-Key"] = sent.key
            async with session.post(path, json={"content": f"say:{sent.answer}"}, headers=headers) as response:
                assert response.status == 202, await response.text()
                asked = await response.json()
        except (aiohttp.ClientError, ConnectionError):
            return
        sent.message, sent.run = asked["message"]["id"], asked["run"]["id"]
        self.by_run[asked["run"]["id"]] = sent

    async def _follow(self, session: aiohttp.ClientSession, user: int) -> None:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"}
        try:
            while True:
                async with session.get("/api/events", headers=headers) as response:
                    kind = ""
                    async for line in response.content:
                        if line.startswith(b"event: "):
                            kind = line[7:].strip().decode()
                        elif line.startswith(b"data: "):
                            self._heard(kind, json.loads(line[6:]))
                await asyncio.sleep(0.02)
        except (aiohttp.ClientError, ConnectionError):
            return

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        sent = self.by_run.get(data.get("run_id", ""))
        if sent is None:
            return
        if kind == "restart":
            sent.read = ""
        elif kind == "delta":
            sent.read += data["text"]
            if sent.read == sent.answer:
                self.whole.set()
        sent.ended = sent.ended or kind in ("done", "failed", "cancelled")


def phases(users: Users, kira: Running) -> Counter[str]:
    """Return in which phase of its life each run was when Kira was killed."""
    found: Counter[str] = Counter()
    for run, state, attempt in rows(kira.data, "SELECT id, state, attempt FROM runs WHERE kind = 'reply'"):
        sent = users.by_run.get(str(run))
        if state == "queued":
            found["queued again" if attempt else "queued"] += 1
        elif state == "running" and (sent is None or not sent.read):
            found["claimed"] += 1
        elif state == "running" and sent is not None:
            found["finishing" if sent.read == sent.answer else "streaming"] += 1
        elif sent is not None and not sent.ended:
            found["ended, not told"] += 1
            sent.ended = True
    return found
