"""Loads a model: a request without messages, after which its context and its place on the card are known."""

from __future__ import annotations

import aiohttp

from kira.adapters.engine.ollama import faults, watching
from kira.adapters.engine.ollama.server import OllamaServer


async def load(server: OllamaServer, model: str) -> None:
    """Load `model` with the options of every request; raises the EngineError that fits."""
    response = await server.wire.chat(server.request(model, []), server.config.first_token)
    try:
        await response.read()
    except (aiohttp.ClientError, OSError):
        raise faults.cut(server.name) from None
    finally:
        response.release()
    await watching.look_loaded(server)
