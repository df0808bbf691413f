"""Streams to try: several instances on one wire, each with what a process of its own would have."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotYet
from tests import homes

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.stream.process import ProcessStream
from kira.adapters.stream.redis import RedisWire
from kira.adapters.stream.table import TableWire
from kira.adapters.stream.wire import Wire
from kira.adapters.stream.wired import WiredStream
from kira.ports.stream import Stream

WIRES = ("table", "redis")


@asynccontextmanager
async def redis_server() -> AsyncIterator[str]:
    """Run a Redis server of its own; yield its address."""
    with tempfile.TemporaryDirectory(prefix="kira-") as folder:
        command = ["redis-server", "--port", "0", "--unixsocket", f"{folder}/socket", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            async with Redis.from_url(f"unix://{folder}/socket") as client, asyncio.timeout(20):
                while not await _answers(client):
                    await asyncio.sleep(0.02)
            yield f"unix://{folder}/socket"
        finally:
            process.terminate()
            process.wait()


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except NotYet:
        return False


@asynccontextmanager
async def wires(kind: str, folder: Path, clock: FixedClock) -> AsyncIterator[Callable[[], Wire]]:
    """Yield a way to make wires of one kind that all lead to the same place."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(redis_server()) if kind == "redis" else ""

        def wire() -> Wire:
            if kind == "redis":
                made = RedisWire(address, clock)
                stack.push_async_callback(made.close)
                return made
            database = homes.open_database(folder / "kira.sqlite")
            stack.push_async_callback(database.close)
            return TableWire(database, clock)

        yield wire


@asynccontextmanager
async def instances(kind: str, folder: Path) -> AsyncIterator[Callable[[], Stream]]:
    """Yield a way to make streams as processes of one Kira have them; `process` ones have nothing in common."""
    async with wires(kind, folder, FixedClock()) as wire, AsyncExitStack() as stack:

        def instance() -> Stream:
            if kind == "process":
                return ProcessStream()
            stream = WiredStream(wire())
            stack.push_async_callback(stream.close)
            return stream

        yield instance
