"""Users over HTTP who send, follow and remember what was acknowledged, while Kira is killed under them."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from kira.domain.limits import RUN_ATTEMPTS_MAX

WORDS = 8
TOKENS_PER_SECOND = 25
PATIENCE_S = 120
ARRIVES_S = 0.2
"""Within which a server has done what a process sent to it last before it was killed."""
Look = Callable[..., list[tuple[Any, ...]]]
"""Reads from the database past every wall: a statement, and values for each `?`."""


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
    killed: set[tuple[str, int]] = field(default_factory=set)
    """Runs, each with the number of an attempt that a kill ended."""
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    """Some answer has been read to its last word in this life."""
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Some run has taken its slot in this life."""
    unanswered: frozenset[int] = frozenset()
    """Statuses that whoever stands before Kira says when it was killed while it was asked."""
    pause_s: float = 0.02
    """Between two streams."""
    spread_s: float = 0.3
    """Within which the messages of a life are sent."""

    async def live(self, address: str, messages: int, until: Callable[[], Any], kill: Callable[[], object]) -> None:
        """Follow everything and send `messages` new ones until `until` is over; then Kira is killed."""
        self.whole.clear()
        self.started.clear()
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(address, timeout=timeout) as session:
            sending = [asyncio.create_task(self._repeat(session, each)) for each in self.unacknowledged()]
            sending += [asyncio.create_task(self._send_new(session, n % len(self.tokens))) for n in range(messages)]
            following = [asyncio.create_task(self._follow(session, user)) for user in range(len(self.tokens))]
            if self.unanswered and messages:  # runs end before slow streams are there, so there are always more
                following += [asyncio.create_task(self._send_more(session, user)) for user in range(len(self.tokens))]
            await until()
            await asyncio.to_thread(kill)
            await asyncio.sleep(ARRIVES_S)
            await asyncio.gather(*sending)
            if self.unanswered:  # others than who was killed go on
                for task in following:
                    task.cancel()
            await asyncio.gather(*following, return_exceptions=bool(self.unanswered))

    @property
    def open(self) -> int:
        """How many messages have no end yet."""
        return sum(not each.ended for each in self.sent.values())

    def unacknowledged(self) -> list[Sent]:
        """Return what was sent and never answered with 202."""
        return [each for each in self.sent.values() if each.message is None]

    async def _send_new(self, session: aiohttp.ClientSession, user: int) -> None:
        await asyncio.sleep(self.random.uniform(0, self.spread_s))
        number = len(self.sent)
        answer = " ".join(f"{number}-{place}" for place in range(WORDS))
        sent = self.sent[str(number)] = Sent(user, "", f"key {number}", answer)
        await self._repeat(session, sent)

    async def _send_more(self, session: aiohttp.ClientSession, user: int) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(0.5, 1.5))
            await self._send_new(session, user)

    async def _repeat(self, session: aiohttp.ClientSession, sent: Sent) -> None:
        """Send a message as a careful client does: with a key, again and again, until it is acknowledged."""
        headers = {"Authorization": f"Bearer {self.tokens[sent.user]}"}
        try:
            if not sent.conversation:
                body = {"title": "a title"} if self.random.random() < 0.9 else {}
                async with session.post("/api/conversations", json=body, headers=headers) as response:
                    if response.status in self.unanswered:
                        return
                    sent.conversation = (await response.json())["id"]
            path = f"/api/conversations/{sent.conversation}/messages"
            headers["Idempotency-Key"] = sent.key
            async with session.post(path, json={"content": f"say:{sent.answer}"}, headers=headers) as response:
                if response.status in self.unanswered:
                    return
                assert response.status == 202, await response.text()
                asked = await response.json()
        except (aiohttp.ClientError, ConnectionError):
            return
        sent.message, sent.run = asked["message"]["id"], asked["run"]["id"]
        self.by_run[asked["run"]["id"]] = sent

    async def _follow(self, session: aiohttp.ClientSession, user: int) -> None:
        """Read everything, again and again; with nobody before Kira a broken stream is Kira's end."""
        while True:
            try:
                await self._read(session, user)
            except (aiohttp.ClientError, ConnectionError):
                if not self.unanswered:
                    return
            await asyncio.sleep(self.pause_s)

    async def _read(self, session: aiohttp.ClientSession, user: int) -> None:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"}
        async with session.get("/api/events", headers=headers) as response:
            kind = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    kind = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    self._heard(kind, json.loads(line[6:]))

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        sent = self.by_run.get(data.get("run_id", ""))
        if sent is None:
            return
        if kind == "started":
            sent.read = ""
            self.started.set()
        elif kind == "restart":
            sent.read = ""
        elif kind == "delta":
            sent.read += data["text"]
            if sent.read == sent.answer:
                self.whole.set()
        sent.ended = sent.ended or kind in ("done", "failed", "cancelled")

    def moment(self, life: int, delay: float) -> Callable[[], Awaitable[None]]:
        """Return what is waited for before the kill: some time, a run that takes a slot, or an answer's last word.

        The last two come however slow the machine is, so that every phase is met on a busy one too.
        """

        async def met(event: asyncio.Event) -> None:
            async with asyncio.timeout(PATIENCE_S):
                await event.wait()

        moments = (lambda: asyncio.sleep(delay), lambda: met(self.whole), lambda: met(self.started))
        return moments[life % len(moments)]

    async def until_all_ended(self, look: Look) -> None:
        """Wait until everything is acknowledged and no run is open."""
        async with asyncio.timeout(PATIENCE_S):
            while self.unacknowledged() or look("SELECT 1 FROM runs WHERE state IN ('queued', 'running')"):
                await asyncio.sleep(0.1)


def phases(users: Users, look: Look) -> Counter[str]:
    """Return in which phase of its life each run was when Kira was killed, and note whose attempt that ended."""
    found: Counter[str] = Counter()
    for run, state, attempt in look("SELECT id, state, attempt FROM runs WHERE kind = 'reply'"):
        sent = users.by_run.get(str(run))
        if state == "running":
            users.killed.add((str(run), attempt))
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


def may_give_up(killed: Collection[tuple[str, int]]) -> set[str]:
    """Return the runs that may have given up: every attempt of them was `killed`. All others have to be answered.

    So may be one of these: its end was on the way to a server when its process was killed, and arrived.
    """
    return {run for run, times in Counter(run for run, _ in killed).items() if times == RUN_ATTEMPTS_MAX}


def check_messages(users: Users, look: Look) -> None:
    """Every acknowledged message is there exactly once, and nothing else is."""
    found = look("SELECT content, id FROM messages WHERE role = 'user'")
    assert sorted(found) == sorted((f"say:{sent.answer}", sent.message) for sent in users.sent.values())


def check_runs(users: Users, look: Look) -> None:
    """Every accepted run ended, with one answer, or with a reason because each of its attempts was killed."""
    found = look("SELECT id, state, error_code, attempt, error_message FROM runs WHERE kind = 'reply'")
    assert {str(run) for run, *_ in found} == {sent.run for sent in users.sent.values()}
    answers = look("SELECT run_id, content FROM messages WHERE role = 'assistant'")
    done = [(run, users.by_run[run].answer) for run, state, *_ in found if state == "done"]
    assert sorted(answers) == sorted(done)
    assert done
    failed = [each for each in found if each[1] != "done"]
    assert {each[1:4] for each in failed} <= {("failed", "GAVE_UP", RUN_ATTEMPTS_MAX)}
    assert {str(run) for run, *_ in failed} <= may_give_up(users.killed)
    assert all(each[4] for each in failed)
    assert look("SELECT COUNT(*) FROM runs WHERE state IN ('queued', 'running')") == [(0,)]
    assert look("SELECT COUNT(*) FROM runs WHERE lease IS NOT NULL OR ended_at IS NULL") == [(0,)]
