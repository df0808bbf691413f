"""What the doctor looks at beyond this computer: every model server, its models, its slots and its card."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from kira.local.commands.checks import Finding, State
from kira.local.settings import LocalSettings
from kira.local.world import Local
from kira.ports.engine import Fleet

ANSWER_SECONDS = 3
FLEET_SECONDS = 5


async def model_servers(settings: LocalSettings) -> list[Finding]:
    """Ask every model server what it is and has; then the engine, what Kira makes of that."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        found = [await _server(session, address, settings) for address in settings.ollama]
    fleet = await _fleet(settings)
    found += [
        Finding(State.OK, "slots", f"{server.name}: {server.message}") for server in fleet.servers if server.message
    ]
    found.append(_models(fleet, settings))
    return found


async def _server(session: aiohttp.ClientSession, address: str, settings: LocalSettings) -> Finding:
    name = f"model server {address}"
    try:
        version = (await _get(session, f"{address}/api/version"))["version"]
        models = [each["name"] for each in (await _get(session, f"{address}/api/tags"))["models"]]
        loaded = [each["name"] for each in (await _get(session, f"{address}/api/ps"))["models"]]
    except (aiohttp.ClientConnectionError, TimeoutError):
        # Nobody named the default address, so somebody who only tries Kira need not have one there.
        state = State.WRONG if "ollama" in settings.model_fields_set else State.WARNING
        return Finding(state, name, "does not answer", "Start it with `ollama serve`, or correct KIRA_OLLAMA.")
    except (aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
        return Finding(
            State.WRONG, name, f"does not speak like Ollama ({type(error).__name__})", "Correct KIRA_OLLAMA."
        )
    if not models:
        return Finding(State.WARNING, name, f"Ollama {version}, no models", "Run `ollama pull llama3.2` there.")
    shown = ", ".join(models[:5]) + (f" and {len(models) - 5} more" if len(models) > 5 else "")
    return Finding(State.OK, name, f"Ollama {version}; has {shown}; loaded: {', '.join(loaded) or 'none'}")


async def _get(session: aiohttp.ClientSession, address: str) -> Any:
    async with session.get(address) as answer:
        answer.raise_for_status()
        return await answer.json(content_type=None)


async def _fleet(settings: LocalSettings) -> Fleet:
    world = Local(settings)
    try:
        await world.engine.start()
        try:
            async with asyncio.timeout(FLEET_SECONDS):
                while any(not server.message for server in world.engine.fleet().servers):
                    await world.engine.changed()
        except TimeoutError:
            pass  # A slow server is told as it is known by now.
        return world.engine.fleet()
    finally:
        await world.close()


def _models(fleet: Fleet, settings: LocalSettings) -> Finding:
    names = {model.name for model in fleet.models}
    if settings.model and settings.model not in names:
        advice = f"Run `ollama pull {settings.model}`, or name another in KIRA_MODEL."
        return Finding(State.WARNING, "default model", f"{settings.model} is not on any model server", advice)
    real = [model for model in fleet.models if not model.demo]
    if not real:
        return Finding(State.WARNING, "default model", "only the demo model answers", fleet.advice or "")
    return Finding(State.OK, "default model", settings.model or fleet.default or real[0].name)
