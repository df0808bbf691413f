"""A home in one process: a real database, a real worker, and users who ask; the model servers are the tests'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import homes

from kira.adapters.clock.system import SystemClock
from kira.adapters.engine.ollama import OllamaConfig, OllamaEngine
from kira.adapters.engine.scripted import ScriptedEngine
from kira.adapters.queue.table import TableQueue
from kira.adapters.stream.process import ProcessStream
from kira.domain.ids import new_id
from kira.domain.moments import DAY
from kira.domain.runs import Kind
from kira.jobs.line import LOOK_SECONDS, Herald
from kira.jobs.telling import Telling
from kira.jobs.worker import Worker
from kira.ports.alarm import Alarm
from kira.ports.clock import Clock
from kira.ports.database import Database
from kira.ports.engine import Engine
from kira.ports.queue import Queue
from kira.ports.stream import Stream
from kira.ports.vault import Vault
from kira.services.admission import Question
from kira.services.kira import Kira
from kira.services.visits import Visit
from kira.services.waiting import Line
from kira.testing.vault import MemoryVault

PATIENCE_S = 30.0
MODEL = "test:latest"
QUICK = {"pause_min": 0.02, "pause_max": 0.1, "look": 5.0, "look_when_empty": 0.05, "look_timeout": 2.0}

Told = list[tuple[str, dict[str, Any]]]


@dataclass
class World:
    """All ports together."""

    clock: Clock
    database: Database
    engine: Engine
    queue: Queue
    stream: Stream
    vault: Vault = field(default_factory=MemoryVault)


@dataclass
class Home:
    """One database and one stream; workers come and go, each with an engine of its own."""

    path: Path
    database: Database
    clock: Clock = field(default_factory=SystemClock)
    stream: Stream = field(default_factory=ProcessStream)
    line: Line = field(default_factory=Line)
    sessions: dict[str, str] = field(default_factory=dict)
    alarm: Alarm | None = None
    look_s: float = LOOK_SECONDS

    def __post_init__(self) -> None:
        """Share one queue, whose hints wake every worker here."""
        self.queue: Queue = TableQueue(self.database, self.clock)
        self.kira = self._kira(ScriptedEngine())

    @asynccontextmanager
    async def working(
        self, *addresses: str, slots: int = 2, grace_s: float = 20, engine: Engine | None = None, **settings: Any
    ) -> AsyncIterator[Worker]:
        """Let a worker work with the servers at `addresses`; it drains at the end of the block."""
        made = engine or OllamaEngine(OllamaConfig(addresses, **{"num_parallel": slots, **QUICK, **settings}))
        self.kira = self._kira(made)
        herald = Herald(self.queue, self.stream, made, self.line, look_s=self.look_s)
        telling = Telling(self.stream)
        worker = Worker(self.kira.answering, made, self.queue, herald, telling, grace_s)
        working = asyncio.create_task(worker.run())
        try:
            if addresses:
                await until(
                    lambda: len([each for each in made.fleet().servers if each.state == "ok"]) == len(addresses)
                )
            yield worker
        finally:
            worker.stop()
            async with asyncio.timeout(PATIENCE_S):
                await working

    async def visit(self, user: int = 0) -> Visit:
        """Begin a visit of a user, who is made at the first one."""
        name = f"user{user}@example.org"
        if name not in self.sessions:
            self.sessions[name] = _add_user(self.path, name, self.clock.now())
        session = self.sessions[name]
        return Visit(session, session, "user", self.database, self.clock, None)

    async def ask(self, content: str, *, conversation: str | None = None, model: str | None = None) -> str:
        """Ask in a conversation with a title of its own, so that no title is made; return the run's id."""
        conversation = conversation or await self.conversation("named")
        asked = await self.kira.admission.ask(await self.visit(), Question(conversation, content, model=model))
        return asked.run.id

    async def conversation(self, title: str | None = None) -> str:
        """Begin a conversation."""
        return (await self.kira.conversations.add(await self.visit(), title)).id

    async def warm(self) -> None:
        """Let the model be loaded: a fault that is set now befalls the next answer, not the loading."""
        await self.told(await self.ask("say:warm"))

    async def cancel(self, run: str) -> None:
        """Stop a run."""
        await self.kira.runs.cancel(await self.visit(), run)

    async def told(self, run: str, stop: Callable[[str, dict[str, Any]], bool] | None = None) -> Told:
        """Return what a run says until its end, or until `stop` says so of an event."""
        visit, told = await self.visit(), Told()
        async with asyncio.timeout(PATIENCE_S):
            async for batch in self.stream.follow(visit.user_id, run, 0):
                for event in batch:
                    told.append((event.kind, event.data))
                    if stop is not None and stop(event.kind, event.data):
                        return told
        return told

    async def until_said(self, run: str, kind: str, part: str = "") -> None:
        """Return when a run has said an event of `kind` with `part` in its data."""
        await self.told(run, lambda each, data: each == kind and part in str(data))

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Read from the database."""
        return homes.look(self.path, sql, *params)

    def state(self, run: str) -> str:
        """Return where a run stands in the database."""
        return str(self.rows("SELECT state FROM runs WHERE id = ?", run)[0][0])

    def answers(self, run: str) -> list[str]:
        """Return the answers of a run, of which there is at most one."""
        found = self.rows("SELECT content FROM messages WHERE role = 'assistant' AND run_id = ?", run)
        return [str(content) for (content,) in found]

    def _kira(self, engine: Engine) -> Kira:
        world = World(self.clock, self.database, engine, self.queue, self.stream)
        return Kira(world, line=self.line, alarm=self.alarm)


@asynccontextmanager
async def open_home(path: Path) -> AsyncIterator[Home]:
    """Open a home on a fresh file."""
    database = homes.open_database(path)
    try:
        yield Home(path, database)
    finally:
        await database.close()


def text_of(told: Told) -> str:
    """Return the text that a reader has at the end: what came after the last restart."""
    text = ""
    for kind, data in told:
        text = "" if kind == "restart" else text + (data["text"] if kind == "delta" else "")
    return text


def said(told: Told, kind: str) -> list[dict[str, Any]]:
    """Return the data of the events of one kind."""
    return [data for each, data in told if each == kind]


async def until(is_so: Callable[[], object]) -> None:
    """Return when `is_so` is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.005)


def whole(question: str, tokens: int) -> str:
    """Return the test server's whole answer."""
    words = question.split()
    return " ".join(words[at % len(words)] for at in range(tokens))


def titles(home: Home) -> list[str]:
    """Return the runs that make titles."""
    return [str(run) for (run,) in home.rows("SELECT id FROM runs WHERE kind = ?", Kind.TITLE)]


def _add_user(path: Path, email: str, now: int) -> str:
    user = new_id()
    with homes.direct(path) as connection:
        connection.execute(
            "INSERT INTO users (id, email, name, role, created_at) VALUES (?, ?, ?, 'user', ?)",
            (user, email, email, now),
        )
        connection.execute(
            "INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at) "
            "VALUES (?, ?, ?, 'test', ?, ?, ?)",
            (user, user, email, now, now, now + DAY),
        )
    return user
