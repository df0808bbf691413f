"""A wire between Kira and a PostgreSQL server that counts how often one has to wait for the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PIECE = 65_536
NAME = ".s.PGSQL.5432"


@dataclass
class Wire:
    """What was counted: `trips` is how often the client spoke after it had heard the server."""

    trips: int = 0
    heard: bool = True
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    silent: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Cut every connection, as a failing network does."""
        for writer in self.open:
            writer.transport.abort()

    def fall_silent(self) -> None:
        """Carry nothing more on the connections that are open now, and tell neither side."""
        self.silent |= self.open


@asynccontextmanager
async def wire(server: Path, folder: Path) -> AsyncIterator[Wire]:
    """Lay a wire from a socket in `folder` to the one in `server`."""
    counted, tasks = Wire(), set[asyncio.Task[Any]]()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_server: bool) -> None:
        try:
            while piece := await reader.read(_PIECE):
                counted.trips += counted.heard and not is_server
                counted.heard = is_server
                if writer not in counted.silent:
                    writer.write(piece)
                    await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(server / NAME))
        ends = {writer, back}
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        counted.open |= ends
        await asyncio.gather(carry(reader, back, is_server=False), carry(there, writer, is_server=True))
        counted.open -= ends

    listening = await asyncio.start_unix_server(accept, str(folder / NAME))
    try:
        yield counted
    finally:
        listening.close()
        counted.cut()
        await asyncio.gather(*tasks)
