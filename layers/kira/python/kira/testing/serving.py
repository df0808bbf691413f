"""A whole Kira in this process, reached over real HTTP on a free port of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from kira.adapters.clock.system import SystemClock
from kira.adapters.engine.scripted import ScriptedEngine
from kira.adapters.queue.table import TableQueue
from kira.adapters.stream.process import ProcessStream
from kira.domain.accounts import AccountsMode
from kira.domain.limits import Limit
from kira.jobs.line import Herald
from kira.jobs.telling import Telling
from kira.jobs.worker import Worker
from kira.ports.clock import Clock
from kira.ports.database import Database
from kira.ports.engine import Engine
from kira.ports.queue import Queue
from kira.ports.stream import Stream
from kira.ports.vault import Vault
from kira.services.accounts import Accounts
from kira.services.kira import Kira
from kira.services.passwords import Passwords
from kira.services.seats import Seats, SharedSeats
from kira.testing.hashing import CountingHasher
from kira.testing.vault import MemoryVault
from kira.web.apps import build
from kira.web.door import Door
from kira.web.files import Dashboard

QUICK_WORDS_PER_SECOND = 2_000.0
HELD_WORDS_PER_SECOND = 0.001
"""An answer says its first word and then nothing for a quarter of an hour: it goes until it is stopped."""


def quick_engine(slots: int = 4) -> ScriptedEngine:
    """Return a demo engine whose answers take about a tenth of a second."""
    return ScriptedEngine(words_per_second=QUICK_WORDS_PER_SECOND, slots=slots)


def held_engine(slots: int = 1) -> ScriptedEngine:
    """Return a demo engine whose answers begin and never end, with so many slots."""
    return ScriptedEngine(words_per_second=HELD_WORDS_PER_SECOND, slots=slots)


@dataclass(frozen=True, slots=True)
class TestWorld:
    """All ports of a home for tests: a real database, everything else in this process."""

    __test__ = False  # pytest would take it for a class of tests

    database: Database
    clock: Clock
    engine: Engine
    queue: Queue
    stream: Stream
    vault: Vault


@dataclass(frozen=True, slots=True)
class Plan:
    """What to serve: the engine, the clock, the limits that are on, and the dashboard's folder if there is one.

    Without `works` no worker takes the runs, so that all of them wait. With `apart` event streams count as where each
    is served by a process of its own.
    """

    engine: Engine = field(default_factory=quick_engine)
    clock: Clock = field(default_factory=SystemClock)
    limits: tuple[Limit, ...] = ()
    dashboard: Path | None = None
    works: bool = True
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A Kira that answers at `address`."""

    address: str
    kira: Kira
    app: FastAPI
    door: Door

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to the tests and stops when told, not at its next look."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait until told to stop."""
        await self.told.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


@asynccontextmanager
async def serve(database: Database, plan: Plan | None = None) -> AsyncIterator[Served]:
    """Serve what `plan` says on `database`, with accounts open to anybody, until the block ends; then close it."""
    plan = plan or Plan()
    world = _world(plan, database)
    kira = _kira(world, plan)
    try:
        async with working(_worker_of(kira)) if plan.works else contextlib.nullcontext():
            app = build(kira, pages=Dashboard(plan.dashboard) if plan.dashboard else None)
            door = Door(app)
            with _bound() as listening:
                async with _serving(door, listening):
                    yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", kira, app, door)
    finally:
        await database.close()


def _world(plan: Plan, database: Database) -> TestWorld:
    queue = TableQueue(database, plan.clock)
    return TestWorld(database, plan.clock, plan.engine, queue, ProcessStream(), MemoryVault())


def _kira(world: TestWorld, plan: Plan) -> Kira:
    seats = SharedSeats() if plan.apart else Seats()
    kira = Kira(world, AccountsMode.OPEN, {limit.name: limit for limit in plan.limits}, seats=seats)
    passwords = Passwords(CountingHasher())
    vars(kira)["accounts"] = Accounts(world.database, world.clock, world.vault, AccountsMode.OPEN, passwords)
    return kira


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    """Let `worker` work until the block ends, and then drain."""
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await running


def _worker_of(kira: Kira) -> Worker:
    world = kira.world
    herald = Herald(world.queue, world.stream, world.engine, kira.line)
    return Worker(kira.answering, world.engine, world.queue, herald, Telling(world.stream), grace_s=0)


@contextmanager
def _bound() -> Iterator[socket.socket]:
    # The protocol is named because asyncio sends small answers at once only where it is.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        yield listening


@asynccontextmanager
async def _serving(door: Door, listening: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        door, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=1
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by this field alone
        await asyncio.sleep(0.001)
    try:
        yield
    finally:
        server.told.set()
        await serving
