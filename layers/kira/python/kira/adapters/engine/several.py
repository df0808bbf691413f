"""Several engines as one: real models first, and the demo model where there is none."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection

from kira.adapters.engine.advice import advice
from kira.adapters.engine.bell import Bell
from kira.adapters.engine.ollama import OllamaConfig, OllamaEngine
from kira.adapters.engine.scripted import DEMO, ScriptedEngine
from kira.ports.engine import Fleet, Model, Piece, Prompt, Room


def open_engine(config: OllamaConfig, preferred: str | None = None) -> SeveralEngines:
    """Make the engine of a home: the Ollama servers of `config` and the demo model; opens nothing yet."""
    bell = Bell()
    return SeveralEngines(OllamaEngine(config, bell), ScriptedEngine(bell=bell), bell, preferred)


class SeveralEngines:
    """Ollama's models and the demo model; both engines must ring `bell`."""

    def __init__(self, ollama: OllamaEngine, demo: ScriptedEngine, bell: Bell, preferred: str | None = None) -> None:
        """`preferred` is the setting KIRA_MODEL, with or without a tag."""
        self._ollama, self._demo, self._bell = ollama, demo, bell
        self._preferred = preferred
        self._fleet: Fleet | None = None
        self._fleet_at = -1

    async def start(self) -> None:
        """Begin watching."""
        await self._ollama.start()

    async def close(self) -> None:
        """Close every connection."""
        await self._ollama.close()

    async def looked(self) -> None:
        """Return once the Ollama servers were looked at for the first time."""
        await self._ollama.looked()

    async def changed(self) -> None:
        """Return as soon as room or fleet may have changed."""
        await self._bell.heard()

    def wanted(self, models: Collection[str]) -> None:
        """Take note of the models that runs wait for."""
        self._ollama.wanted([model for model in models if model != DEMO])

    def room(self) -> list[Room]:
        """Return the models with free slots."""
        return [*self._ollama.room(), *self._demo.room()]

    def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Stream the answer to `prompt`."""
        engine = self._demo if prompt.model == DEMO else self._ollama
        return engine.reply(prompt)

    def fleet(self) -> Fleet:
        """Return all models and servers; the demo model counts as a server only while it is in use."""
        if self._fleet is None or self._fleet_at != self._bell.changes:
            self._fleet, self._fleet_at = self._make_fleet(), self._bell.changes
        return self._fleet

    def _make_fleet(self) -> Fleet:
        ollama, demo = self._ollama.fleet(), self._demo.fleet()
        models = (*ollama.models, *demo.models)
        default = self._default(ollama.models)
        shown = tuple(each for each in demo.servers if default == DEMO or each.running)
        return Fleet(models, (*ollama.servers, *shown), default, advice(ollama.models, ollama.servers))

    def _default(self, models: tuple[Model, ...]) -> str:
        names = [model.name for model in models]
        if self._preferred == DEMO:
            return DEMO
        if self._preferred is not None:
            # A server that is down may have it, so it is believed even when nobody lists it now.
            full = self._preferred if ":" in self._preferred else f"{self._preferred}:latest"
            return full if full in names else self._preferred
        return names[0] if names else DEMO
