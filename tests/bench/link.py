"""A link with a delay: bytes between a client and a server's socket arrive later, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


@asynccontextmanager
async def link(target: Path, delay_s: float) -> AsyncIterator[tuple[str, int]]:
    """Listen on loopback and pass everything on to the Unix socket `target`, each way `delay_s` later."""
    pumps: set[asyncio.Task[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(target)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_pump(source, sink, delay_s))
            pumps.add(task)
            task.add_done_callback(pumps.discard)

    listening = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield "127.0.0.1", listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in list(pumps):
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while data := await source.read(65_536):
            loop.call_later(delay_s, sink.write, data)
    loop.call_later(delay_s, sink.close)
