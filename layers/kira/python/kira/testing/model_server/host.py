"""The host of the test server's models: loading, eviction and slots in the order of arrival, as in Ollama."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from kira.testing.model_server.behaviour import Behaviour
from kira.testing.model_server.models import FakeModel
from kira.testing.model_server.stats import Stats

PER_REQUEST = frozenset({"num_predict", "temperature", "top_p", "top_k", "seed", "stop", "num_keep"})
"""Options that do not belong to the runner: a change of any other loads the model again."""


@dataclass(slots=True)
class Loaded:
    """A model in memory with its runner's options; `slots` is fixed when it is loaded, as in Ollama."""

    model: FakeModel
    options: str
    slots: int
    running: int = 0
    line: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def is_idle(self) -> bool:
        """Say whether nobody uses or wants it."""
        return not self.running and not self.line


@dataclass(slots=True)
class Host:
    """Keeps at most `loaded_max` models; a request for another one waits until one is idle."""

    behaviour: Behaviour
    stats: Stats
    loaded: dict[str, Loaded] = field(default_factory=dict)
    _door: asyncio.Lock = field(default_factory=asyncio.Lock)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def slot(self, model: FakeModel, body: dict[str, Any], who: str) -> AsyncIterator[float]:
        """Hold a slot of `model`, loaded with the options of `body`; yields the seconds that loading took."""
        options = runner_options(body)
        if options not in self.stats.options:
            self.stats.options.append(options)
        loaded, load_s = await self._load(model, options)
        await self._take(loaded, who)
        now = asyncio.get_running_loop().time
        self.stats.begin(now(), loaded.slots)
        try:
            yield load_s
        finally:
            self.stats.end(now(), loaded.slots)
            self._give(loaded)

    async def load(self, model: FakeModel, body: dict[str, Any]) -> None:
        """Load `model` with the options of `body` and do nothing else."""
        await self._load(model, runner_options(body))

    def unload(self, name: str | None = None) -> None:
        """Forget the model called `name`, or all."""
        for each in [name] if name is not None else list(self.loaded):
            self.loaded.pop(each, None)

    async def _load(self, model: FakeModel, options: str) -> tuple[Loaded, float]:
        found = self.loaded.get(model.name)
        if found is not None and found.options == options:
            return found, 0.0
        self.stats.wait(1)
        try:
            async with self._door:
                found = self.loaded.get(model.name)
                if found is not None and found.options == options:
                    return found, 0.0
                await self._make_room(model)
                await asyncio.sleep(self.behaviour.load)
                self.stats.loads += 1
                made = Loaded(model, options, self.behaviour.slots)
                self.loaded[model.name] = made
                return made, self.behaviour.load
        finally:
            self.stats.wait(-1)

    async def _make_room(self, model: FakeModel) -> None:
        while model.name in self.loaded or len(self.loaded) >= self.behaviour.loaded_max:
            names = [model.name] if model.name in self.loaded else list(self.loaded)
            idle = next((name for name in names if self.loaded[name].is_idle), None)
            if idle is not None:
                del self.loaded[idle]
                continue
            self._idle.clear()
            await self._idle.wait()

    async def _take(self, loaded: Loaded, who: str) -> None:
        if loaded.running < loaded.slots and not loaded.line:
            loaded.running += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        loaded.line.append(place)
        self.stats.waited.append(who[:80])
        self.stats.wait(1)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._give(loaded)  # the slot came in the same moment as the cancellation
            elif place in loaded.line:
                loaded.line.remove(place)
            raise
        finally:
            self.stats.wait(-1)

    def _give(self, loaded: Loaded) -> None:
        while loaded.line:
            place = loaded.line.popleft()
            if not place.done():
                place.set_result(None)
                return
        loaded.running -= 1
        if loaded.is_idle:
            self._idle.set()


def runner_options(body: dict[str, Any]) -> str:
    """Return the options of `body` that belong to the runner, in one spelling."""
    options = body.get("options") or {}
    return json.dumps({name: options[name] for name in sorted(options) if name not in PER_REQUEST})
