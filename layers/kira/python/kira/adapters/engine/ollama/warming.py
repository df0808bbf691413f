"""Loads models before the first run comes, and refuses those that do not fit on the card."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import aiohttp

from kira.adapters.engine.bell import Bell
from kira.adapters.engine.ollama import faults, watching
from kira.adapters.engine.ollama.config import OllamaConfig
from kira.adapters.engine.ollama.loading import load
from kira.adapters.engine.ollama.server import OllamaServer
from kira.adapters.engine.ollama.wire import Wire
from kira.domain.errors import OutOfMemory, ServerDown
from kira.domain.limits import FIRST_TOKEN_SECONDS_MAX

log = logging.getLogger("kira.engine")

PAUSE_SECONDS = 0.5


async def warm(config: OllamaConfig, models: Sequence[str]) -> None:
    """Load each of `models` once at every server, with the options of all requests; the first one last, so it stays.

    Raises the EngineError that fits when a server does not answer in time, lacks a model, or has not all of it on
    the card: such a server would answer many times slower and would not say so.
    """
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for address in config.addresses:
            name = address.partition("://")[2]
            server = OllamaServer(config, address, Wire(session, address, name, config.look_timeout), Bell())
            await _until_it_answers(server)
            for model in reversed(models):
                await _load(server, _full_name(server, model))


async def _until_it_answers(server: OllamaServer) -> None:
    """Look at a server that may just be starting, like this worker."""
    patient_until = asyncio.get_running_loop().time() + FIRST_TOKEN_SECONDS_MAX
    while True:
        try:
            return await watching.look(server)
        except ServerDown:
            if asyncio.get_running_loop().time() > patient_until:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


def _full_name(server: OllamaServer, model: str) -> str:
    name = model if model in server.known or ":" in model else f"{model}:latest"
    if name not in server.known:
        raise faults.not_found(model)
    return name


async def _load(server: OllamaServer, model: str) -> None:
    log.info("loading %s at %s", model, server.name)
    await load(server, model)
    loaded = server.loaded.get(model)
    if loaded is None or loaded.size_vram <= 0:
        raise OutOfMemory(f"{model} is not on a card at {server.name}: its driver or its card is not well.")
    if (share := server.share_on_card(model)) < 1:
        told = f"{1 - share:.0%} of {model} does not fit on the card at {server.name} and would run on the processor."
        raise OutOfMemory(f"{told} Choose a smaller model, less context, or a lower OLLAMA_NUM_PARALLEL.")
    log.info("%s is on the card", model)
