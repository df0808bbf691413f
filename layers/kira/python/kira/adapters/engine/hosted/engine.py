"""One provider over HTTP: no more runs at once than was set, and a rest when it wants fewer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any

import aiohttp

from kira.adapters.engine.bell import Bell
from kira.adapters.engine.hosted import faults
from kira.adapters.engine.hosted.config import HostedConfig, fleet_of
from kira.adapters.engine.hosted.events import Events, Failure
from kira.domain.context import estimate
from kira.domain.errors import EngineError, ServerBusy, ServerDown
from kira.ports.engine import Fleet, Piece, Prompt, Room

CONNECT_SECONDS = 10
ERROR_BYTES_MAX = 10_000
REST_SECONDS_MAX = 60
BOUND, NEWER_BOUND = "max_tokens", "max_completion_tokens"
"""How providers call the longest answer; which one they want, they say."""


class HostedEngine:
    """Keeps the Engine promise with chat completions that stream."""

    def __init__(self, config: HostedConfig, bell: Bell | None = None) -> None:
        """Open nothing yet: a session belongs to the loop that first uses it."""
        self._config = config
        self._bell = bell or Bell()
        self._session: aiohttp.ClientSession | None = None
        self._running = 0
        self._bound = BOUND
        self._rest_s = config.rest_s
        self._rest: asyncio.TimerHandle | None = None
        self._trouble: EngineError | None = None

    async def start(self) -> None:
        """There is nothing to watch: a provider is asked when there is something to ask."""

    async def close(self) -> None:
        """Close every connection."""
        if self._rest is not None:
            self._rest.cancel()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def looked(self) -> None:
        """Return at once: the models are those that were set."""

    async def changed(self) -> None:
        """Return when a slot became free or a rest is over."""
        await self._bell.heard()

    def wanted(self, models: Collection[str]) -> None:
        """Nothing is loaded here, so nothing has to make room."""

    def fleet(self) -> Fleet:
        """Return the models that were set, and how the provider did last."""
        return fleet_of(self._config, self._running, self._trouble)

    def room(self) -> list[Room]:
        """Return the free slots, which all models share; none while the provider rests."""
        free = 0 if self._rest is not None else self._config.slots - self._running
        return [Room(model, free, loaded=True) for model in self._config.models] if free > 0 else []

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Stream the answer; raises the EngineError that fits."""
        config = self._config
        if prompt.model not in config.models:
            raise faults.not_found(prompt.model, config.name)
        if self._running >= config.slots:
            raise ServerBusy
        self._running += 1
        self._bell.touch()
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._begin(prompt)
            events = Events(sum(estimate(line.content) for line in prompt.messages))
            while not events.is_whole:
                for piece in await self._read(response, events):
                    yield piece
            self._trouble = None
        except EngineError as error:
            self._failed(error)
            raise
        finally:
            if response is not None:
                response.close()
            self._running -= 1
            self._bell.ring()

    async def _begin(self, prompt: Prompt) -> aiohttp.ClientResponse:
        config = self._config
        session = self._session = self._session or _session(config)
        try:
            async with asyncio.timeout(config.first_s):
                response = await session.post(config.url, json=_asked(prompt, self._bound))
                if response.status == 200:
                    return response
                data = await response.content.read(ERROR_BYTES_MAX)
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
            raise faults.down(config.name) from None
        except TimeoutError:
            raise faults.too_slow(config.name, config.first_s) from None
        except (aiohttp.ClientError, OSError):
            raise faults.cut(config.name) from None
        response.close()
        text = _error_text(data)
        if self._bound == BOUND and NEWER_BOUND in text:
            self._bound = NEWER_BOUND
            return await self._begin(prompt)
        asked = response.headers.get("retry-after", "")
        self._rest_s = min(int(asked), REST_SECONDS_MAX) if asked.isdecimal() else config.rest_s
        raise faults.from_status(response.status, text, prompt.model, config.name)

    async def _read(self, response: aiohttp.ClientResponse, events: Events) -> Sequence[Piece]:
        config = self._config
        try:
            async with asyncio.timeout(config.gap_s if events.texts else config.first_s):
                data = await response.content.readany()
        except TimeoutError:
            raise faults.too_slow(config.name, config.gap_s) from None
        except (aiohttp.ClientError, OSError):
            raise faults.cut(config.name) from None
        try:
            pieces = events.feed(data) if data else events.end()
        except Failure as failure:
            raise faults.broken(str(failure), config.name) from None
        if not data and not events.is_whole:
            raise faults.cut(config.name)
        return pieces

    def _failed(self, error: EngineError) -> None:
        """Remember it, and let the provider rest where asking again at once would only make it worse."""
        self._trouble = error
        if isinstance(error, ServerBusy | ServerDown) and self._rest is None:
            self._rest = asyncio.get_running_loop().call_later(self._rest_s, self._rested)

    def _rested(self) -> None:
        self._rest = None
        self._bell.ring()


def _session(config: HostedConfig) -> aiohttp.ClientSession:
    headers = {"authorization": f"Bearer {config.key}"} if config.key else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    return aiohttp.ClientSession(headers=headers, timeout=timeout, connector=aiohttp.TCPConnector(limit=0))


def _asked(prompt: Prompt, bound: str) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "model": prompt.model,
        "messages": [{"role": line.role, "content": line.content} for line in prompt.messages],
        bound: prompt.tokens_max,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if prompt.tools:
        asked["tools"] = list(prompt.tools)
    return asked


def _error_text(data: bytes) -> str:
    try:
        told = json.loads(data)["error"]
        return str(told["message"] if isinstance(told, dict) else told)
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")
