"""Watches a server: at the start, after every failure with growing pauses, and slowly otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from kira.adapters.engine.ollama.known import Known, read_known
from kira.adapters.engine.ollama.loaded import read_loaded
from kira.adapters.engine.ollama.server import OllamaServer
from kira.domain.errors import EngineError

log = logging.getLogger("kira.engine")

SHOWN_AT_ONCE_MAX = 4


async def watch(server: OllamaServer) -> None:
    """Look at `server` until cancelled."""
    config = server.config
    pause = config.pause_min
    while True:
        server.is_suspect.clear()
        try:
            await look(server)
        except EngineError as error:
            # A server that is slow to say what it has, but goes on answering, is not down.
            if not any(flow.is_streaming for flow in server.flows):
                if server.state != "down":
                    log.warning("%s", error.message)
                server.lost(error)
            server.looked.set()
            await asyncio.sleep(pause)
            pause = min(config.pause_max, pause * 2)
            continue
        server.looked.set()
        pause = config.pause_min
        if server.is_counted and server.vram is None:
            await _read_card(server)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(config.look if server.known else config.look_when_empty):
                await server.is_suspect.wait()


async def _read_card(server: OllamaServer) -> None:
    """Ask for the card, in a thread and only when slots can be compared with it: its driver is slow to load."""
    server.vram = await asyncio.to_thread(server.config.vram, server.address)
    if server.vram is not None:
        server.bell.ring()


async def look(server: OllamaServer) -> None:
    """Ask once what the server is, has, and holds in memory; raises an EngineError when it does not answer."""
    version = await server.wire.version()
    tags = await server.wire.models()
    limit = asyncio.Semaphore(SHOWN_AT_ONCE_MAX)

    async def shown(tag: dict[str, object]) -> Known:
        name, digest = str(tag["name"]), str(tag.get("digest") or "")
        before = server.known.get(name)
        if before is not None and before.digest and digest.startswith(before.digest):
            return before
        async with limit:
            return read_known(tag, await server.wire.show(name))

    known = await asyncio.gather(*(shown(tag) for tag in tags if tag.get("name")), return_exceptions=True)
    lost = [each for each in known if isinstance(each, BaseException)]
    found = {each.name: each for each in known if isinstance(each, Known)}
    if lost and not found:
        raise lost[0]
    await look_loaded(server)
    server.learn(version, found)


async def look_loaded(server: OllamaServer) -> None:
    """Ask once which models are in memory."""
    entries = await server.wire.loaded()
    server.learn_loaded({str(entry["name"]): read_loaded(entry) for entry in entries if entry.get("name")})
