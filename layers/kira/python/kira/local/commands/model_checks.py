"""What the doctor looks at beyond this computer: every model server, its models, its slots and its card."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from kira.adapters.engine.ollama import OllamaConfig
from kira.adapters.engine.several import open_engine
from kira.adapters.engine.vram import card_mib
from kira.domain.capacity import MIB, read_shape, slots_that_fit
from kira.domain.limits import SLOTS_PROBED_MAX
from kira.domain.moments import day_of
from kira.local.commands.checks import reading
from kira.local.commands.findings import Finding, State
from kira.local.settings import LocalSettings
from kira.ports.engine import Fleet

ANSWER_SECONDS = 3
FLEET_SECONDS = 5
CONTEXT_ASSUMED = 4096  # tokens; what Ollama takes on most cards when nobody says
NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model server that answers says of itself; `shapes` are the descriptions of its models by name."""

    address: str
    version: str
    models: list[str]
    loaded: dict[str, int | None]

    @property
    def name(self) -> str:
        """The server's name in the engine's own words."""
        return urlsplit(self.address).netloc


async def model_servers(settings: LocalSettings) -> list[Finding]:
    """Ask every model server what it is and has; then the engine, what Kira makes of that. Changes nothing."""
    findings: list[Finding] = []
    seen: list[Seen] = []
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    config = _config(settings)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for address in settings.ollama:
            found = await _server(session, address, settings)
            if isinstance(found, Seen):
                seen.append(found)
                findings += [_described(found), *await _card(session, found, config)]
            else:
                findings.append(found)
    fleet = await _fleet(config, settings.model, {each.name for each in seen})
    return [*findings, *_slots(fleet, settings), _default(fleet, settings)]


def _config(settings: LocalSettings) -> OllamaConfig:
    return OllamaConfig(
        settings.ollama,
        slots=settings.slots,
        num_parallel=settings.ollama_num_parallel,
        context=settings.context,
        vram_mib=settings.vram_mib,
        card_mib=card_mib,
    )


async def _server(session: aiohttp.ClientSession, address: str, settings: LocalSettings) -> Seen | Finding:
    name = f"model server {address}"
    try:
        version = str((await _ask(session, "GET", f"{address}/api/version"))["version"])
        models = [each["name"] for each in (await _ask(session, "GET", f"{address}/api/tags"))["models"]]
        loaded = (await _ask(session, "GET", f"{address}/api/ps"))["models"]
        return Seen(address, version, models, {each["name"]: each.get("context_length") for each in loaded})
    except (aiohttp.ClientConnectionError, TimeoutError):
        # Nobody named the default address, so somebody who only tries Kira need not have one there.
        state = State.WRONG if "ollama" in settings.model_fields_set else State.WARNING
        return Finding(state, name, "does not answer", "Start it with `ollama serve`, or correct KIRA_OLLAMA.")
    except (aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
        return Finding(
            State.WRONG, name, f"does not speak like Ollama ({type(error).__name__})", "Correct KIRA_OLLAMA."
        )


def _described(seen: Seen) -> Finding:
    name = f"model server {seen.address}"
    if not seen.models:
        return Finding(State.WARNING, name, f"Ollama {seen.version}, no models", "Run `ollama pull llama3.2` there.")
    more = len(seen.models) - NAMES_SHOWN
    shown = ", ".join(seen.models[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return Finding(State.OK, name, f"Ollama {seen.version}; has {shown}; loaded: {', '.join(seen.loaded) or 'none'}")


async def _card(session: aiohttp.ClientSession, seen: Seen, config: OllamaConfig) -> list[Finding]:
    """Say for how many slots of its first model the server's card has room, where the card is known."""
    vram = config.vram(seen.address)
    model = next(iter(seen.loaded), None) or next(iter(seen.models), None)
    if model is None:
        return []
    name = f"card of {seen.address}"
    if vram is None:
        advice = "Where there is a card, KIRA_VRAM_MIB says how large it is."
        return [Finding(State.OK, name, "not known: no NVIDIA driver here, or another computer", advice)]
    try:
        shape = read_shape(await _ask(session, "POST", f"{seen.address}/api/show", {"model": model}))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        shape = None
    found = f"{vram // MIB:,} MiB"
    if shape is None:
        return [Finding(State.OK, name, f"{found}; {model} does not say how large it is")]
    context = seen.loaded.get(model) or config.context or CONTEXT_ASSUMED
    room = slots_that_fit(shape, vram, context)
    if not room:
        advice = "Choose a smaller model, or less context with KIRA_CONTEXT."
        return [Finding(State.WARNING, name, f"{found}; {model} with {context:,} tokens does not fit", advice)]
    return [
        Finding(
            State.OK, name, f"{found}; room for {min(room, SLOTS_PROBED_MAX)} of {model} with {context:,} tokens each"
        )
    ]


async def _ask(session: aiohttp.ClientSession, method: str, address: str, body: object = None) -> Any:
    async with session.request(method, address, json=body) as answer:
        answer.raise_for_status()
        return await answer.json(content_type=None)


async def _fleet(config: OllamaConfig, preferred: str | None, answering: set[str]) -> Fleet:
    """Return the fleet once the engine has looked at every server that answers."""
    engine = open_engine(config, preferred)
    try:
        await engine.start()
        try:
            async with asyncio.timeout(FLEET_SECONDS):
                while any(each.state == "down" and each.name in answering for each in engine.fleet().servers):
                    await engine.changed()
        except TimeoutError:
            pass  # A slow server is told as it is known by now.
        return engine.fleet()
    finally:
        await engine.close()


def _slots(fleet: Fleet, settings: LocalSettings) -> list[Finding]:
    """Say how many answers go at once, as the engine says it and as it was found out before."""
    before = _found_before(settings)
    told = []
    for server in fleet.servers:
        if server.state not in ("ok", "slow"):
            continue
        known = [f"{model}: {slots} (found on {day})" for name, model, slots, day in before if name == server.name]
        told.append(Finding(State.OK, f"slots of {server.name}", "; ".join(known) or server.message))
    return told


def _found_before(settings: LocalSettings) -> list[tuple[str, str, int, str]]:
    path = settings.database_file
    if not path.is_file():
        return []
    try:
        with closing(reading(path)) as connection:
            rows = connection.execute("SELECT server, model, slots, found_at FROM findings ORDER BY server, model")
            return [(urlsplit(row[0]).netloc or row[0], row[1], row[2], day_of(row[3])) for row in rows]
    except sqlite3.Error:
        return []  # The check of the database says what is wrong with it.


def _default(fleet: Fleet, settings: LocalSettings) -> Finding:
    names = {model.name for model in fleet.models}
    if settings.model and fleet.default not in names:
        advice = f"Run `ollama pull {settings.model}`, or name another in KIRA_MODEL."
        return Finding(State.WARNING, "default model", f"{settings.model} is not on any model server", advice)
    if all(model.demo for model in fleet.models):
        return Finding(State.WARNING, "default model", "only the demo model answers", fleet.advice or "")
    return Finding(State.OK, "default model", str(fleet.default))
