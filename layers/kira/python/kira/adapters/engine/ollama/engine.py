"""The Ollama engine: picks a server with a free slot and streams the answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Collection
from typing import Any

import aiohttp

from kira.adapters.engine.bell import Bell
from kira.adapters.engine.ollama import faults, watching
from kira.adapters.engine.ollama.config import OllamaConfig
from kira.adapters.engine.ollama.loading import load
from kira.adapters.engine.ollama.probing import Prober
from kira.adapters.engine.ollama.reading import Reading
from kira.adapters.engine.ollama.server import OllamaServer
from kira.adapters.engine.ollama.wants import Wants
from kira.adapters.engine.ollama.wire import Wire
from kira.adapters.engine.ollama.words import described
from kira.domain.context import fit
from kira.domain.errors import EngineError, NoModel, ServerBusy
from kira.ports.engine import Finished, Fleet, Model, Notice, Piece, Prompt, Room


class OllamaEngine:
    """Keeps the Engine promise over any number of Ollama servers."""

    def __init__(self, config: OllamaConfig, bell: Bell | None = None) -> None:
        """Open nothing yet; `bell` rings with every change."""
        self._config = config
        self._bell = bell or Bell()
        self._session: aiohttp.ClientSession | None = None
        self._servers: list[OllamaServer] = []
        self._probers: dict[str, Prober] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._wants = Wants(config.model_change)
        self._started = asyncio.Event()
        self._fleet: Fleet | None = None
        self._fleet_at = -1

    async def start(self) -> None:
        """Begin watching the servers; a second call does nothing."""
        if self._session is not None:
            return
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        for address in self._config.addresses:
            name = address.partition("://")[2]
            wire = Wire(self._session, address, name, self._config.look_timeout)
            server = OllamaServer(self._config, address, wire, self._bell)
            self._servers.append(server)
            self._probers[address] = Prober(server)
            self._watches.append(asyncio.create_task(watching.watch(server)))
        self._started.set()

    async def close(self) -> None:
        """Stop watching and probing, and close every connection."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for prober in self._probers.values():
            await prober.close()
        if self._session is not None:
            await self._session.close()

    async def looked(self) -> None:
        """Return once every server was looked at for the first time."""
        await self._started.wait()
        for server in self._servers:
            await server.looked.wait()

    async def changed(self) -> None:
        """Return as soon as room or fleet may have changed."""
        await self._bell.heard()

    def fleet(self) -> Fleet:
        """Return all chat models, each once, and the servers; made anew only after a change."""
        if self._fleet is None or self._fleet_at != self._bell.changes:
            self._fleet, self._fleet_at = self._make_fleet(), self._bell.changes
        return self._fleet

    def _make_fleet(self) -> Fleet:
        models: dict[str, Model] = {}
        for server in self._servers:
            for name, known in server.known.items():
                shown = known.shown(server.loaded.get(name), self._config.context)
                if known.is_chat and (name not in models or shown.loaded):
                    models[name] = shown
        default = next(iter(models), None)
        return Fleet(tuple(models.values()), tuple(described(server) for server in self._servers), default)

    def wanted(self, models: Collection[str]) -> None:
        """Take note of the models that runs wait for; one that waits long makes a server drain for it."""
        self._wants.note(models, self._servers)

    def room(self) -> list[Room]:
        """Return the models with free slots."""
        free: Counter[str] = Counter()
        loaded: set[str] = set()
        for server in self._servers:
            for model, known in server.known.items():
                slots = server.free(model) if known.is_chat else 0
                if not slots or not self._wants.allow(server, model):
                    continue
                free[model] += slots
                if model in server.loaded:
                    loaded.add(model)
        return [Room(model, slots, model in loaded) for model, slots in free.items()]

    def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Stream the answer to `prompt`; raises an EngineError that fits."""
        return self._reply(prompt)

    async def _reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        server, model = self._pick(prompt.model)
        flow = server.take(model)
        response: aiohttp.ClientResponse | None = None
        try:
            if not await self._is_loaded(server, model):
                yield Notice(f"loading {server.known[model].label}")
                await load(server, model)
                yield Notice("reading your question")  # or the loading would seem to go on
            body, notice = _asked(server, model, prompt)
            if notice:
                yield Notice(notice)
            flow.asked_at = asyncio.get_running_loop().time()
            response = await server.wire.chat(body, self._config.first_token)
            # One generator for the whole way of a token: each further one costs a microsecond a token.
            reading, is_whole = Reading(response, flow, self._config.token_gap, server.name), False
            while not is_whole:
                pieces = await reading.read()
                if flow.reads == 1:
                    self._began(server, model)
                for piece in pieces:
                    yield piece
                    is_whole = is_whole or type(piece) is Finished
        except EngineError as error:
            server.failed(model, error)
            raise
        finally:
            if response is not None:
                response.release()  # keeps the connection of a whole answer, closes that of any other
            server.give(flow)

    def _began(self, server: OllamaServer, model: str) -> None:
        server.answered(model)
        self._probers[server.address].consider(model)

    async def _is_loaded(self, server: OllamaServer, model: str) -> bool:
        if not server.is_believed_loaded(model):
            await watching.look_loaded(server)
        return model in server.loaded

    def _pick(self, wanted: str) -> tuple[OllamaServer, str]:
        """Return the server with a free slot and the model's full name; raises the EngineError that fits."""
        name = self._full_name(wanted)
        having = [server for server in self._servers if name in server.known]
        if not having:
            down = next((server for server in self._servers if server.state == "down"), None)
            if down is not None:
                raise faults.down(down.name)
            raise faults.not_found(wanted) if any(server.known for server in self._servers) else NoModel()
        free = [server for server in having if server.free(name)]
        if free:
            return min(free, key=lambda server: (name not in server.loaded, len(server.flows))), name
        if all(server.state == "down" for server in having):
            raise faults.down(having[0].name)
        raise ServerBusy

    def _full_name(self, name: str) -> str:
        """Return the name as servers list it: without a tag it means `latest`."""
        if ":" in name or any(name in server.known for server in self._servers):
            return name
        return f"{name}:latest"


def _asked(server: OllamaServer, model: str, prompt: Prompt) -> tuple[dict[str, Any], str | None]:
    """Return the request for `prompt`, fitted into the model's context, and what its user is to know of that."""
    fitted = fit(prompt.messages, server.context(model), prompt.tokens_max)
    messages = [{"role": line.role, "content": line.content} for line in fitted.messages]
    capabilities = server.known[model].capabilities
    extras: dict[str, Any] = {}  # fields that only some models accept
    if prompt.think is not None and "thinking" in capabilities:
        extras["think"] = prompt.think
    if prompt.tools and "tools" in capabilities:
        extras["tools"] = list(prompt.tools)
    return server.request(model, messages, num_predict=prompt.tokens_max, **extras), fitted.notice
