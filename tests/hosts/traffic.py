"""A steady load of several users, and what must be true of it afterwards, whatever died meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.hosts.rig import Program
from tests.hosts.users import Reading, Request, Visitor, visitor

USERS = 5
WORDS = 12
PAUSE_SECONDS = 0.15
SLOWER = 1.1
"""How much longer each pause of a user is than the one before: all stay below their limit, however long it takes."""


class Place(Protocol):
    """A Kira of several processes."""

    @property
    def proxy(self) -> str:
        """Its one address."""

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Read what no user may."""


@dataclass
class Sent:
    """One message that was acknowledged, and what was read of its answer."""

    text: str
    message: str
    run: str
    reading: Reading


@dataclass
class Traffic:
    """Users who ask one thing after the other until they are told to stop."""

    address: str
    users: list[Visitor]
    sent: list[Sent] = field(default_factory=list)
    pause_s: float = PAUSE_SECONDS
    _in_flight: set[tuple[int, int]] = field(default_factory=set)
    _begun: int = 0
    _stop: bool = False

    async def kill(self, program: Program) -> None:
        """Kill a program; what is in flight then and just after may fail."""
        self._note()
        program.kill()
        for _ in range(20):
            await asyncio.sleep(0.01)
            self._note()

    async def until_sent(self, more: int) -> None:
        """Return when so many more messages were answered."""
        wanted = len(self.sent) + more
        while len(self.sent) < wanted:
            await asyncio.sleep(0.02)

    def failures(self) -> list[Request]:
        """Return what failed although it was not in flight when something was killed."""
        return [
            request
            for user in self.users
            for number, request in user.failed
            if (user.number, number) not in self._in_flight
        ]

    def all_failures(self) -> list[Request]:
        """Return everything that failed."""
        return [request for user in self.users for _, request in user.failed]

    def _note(self) -> None:
        self._in_flight |= {(user.number, number) for user in self.users for number in user.open}

    async def _live(self, user: Visitor) -> None:
        pause_s = self.pause_s
        while not self._stop:
            self._begun += 1
            text = " ".join(f"{self._begun}-{place}" for place in range(WORDS))
            asked = await user.ask(self.address, f"say:{text}")
            reading = await user.read(self.address, asked["run"]["id"])
            self.sent.append(Sent(text, asked["message"]["id"], asked["run"]["id"], reading))
            await asyncio.sleep(pause_s)
            pause_s *= SLOWER


@asynccontextmanager
async def traffic(hosts: Place, pause_s: float = PAUSE_SECONDS, *, through: str = "") -> AsyncIterator[Traffic]:
    """Let users live while the block does what it does; at the end everything they sent is checked.

    They come `through` the proxy of the hosts, or another one.
    """
    async with AsyncExitStack() as stack:
        address = through or hosts.proxy
        users = [await stack.enter_async_context(visitor(address)) for _ in range(USERS)]
        made = Traffic(address, users, pause_s=pause_s)
        async with asyncio.TaskGroup() as living:
            for user in users:
                living.create_task(made._live(user))
            yield made
            made._stop = True
        check(made, hosts)


def check(found: Traffic, hosts: Place) -> None:
    """Every message is there once with one whole answer, every run has ended, and readers saw just that."""
    for sent in found.sent:
        numbers = [frame.number for frame in sent.reading.frames]
        assert numbers == sorted(set(numbers)), "an event came twice"
        assert sent.reading.kinds.count(sent.reading.kinds[-1]) == 1
        assert (sent.reading.kinds[-1], sent.reading.text) == ("done", sent.text), sent.reading.frames
        answers = hosts.rows("SELECT content FROM messages WHERE parent_id = %s", sent.message)
        assert answers == [(sent.text,)], "each message has one answer, which is whole"
        assert hosts.rows("SELECT state FROM runs WHERE id = %s", sent.run) == [("done",)]
    ids = [user.user_id for user in found.users]
    asked = "SELECT content, count(*) FROM messages WHERE user_id = ANY(%s) AND role = 'user' GROUP BY content"
    counts = dict(hosts.rows(asked, ids))
    assert counts == {f"say:{sent.text}": 1 for sent in found.sent}, "every message was stored once"
    left = hosts.rows("SELECT id, state FROM runs WHERE user_id = ANY(%s) AND state <> 'done'", ids)
    assert left == []
