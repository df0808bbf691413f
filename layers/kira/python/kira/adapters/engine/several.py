"""Several engines as one: real models first, those of a hosted provider after them, and the demo model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence

from kira.adapters.engine.advice import advice
from kira.adapters.engine.bell import Bell
from kira.adapters.engine.ollama import OllamaConfig, OllamaEngine
from kira.adapters.engine.scripted import DEMO, ScriptedEngine
from kira.ports.engine import Engine, Fleet, Model, Piece, Prompt, Room


def open_engine(
    config: OllamaConfig, preferred: str | None = None, hosted: Callable[[Bell], Engine] | None = None
) -> SeveralEngines:
    """Make the engine of a home: the Ollama servers of `config`, what `hosted` makes, and the demo model.

    Opens nothing yet.
    """
    bell = Bell()
    others = (hosted(bell),) if hosted else ()
    return SeveralEngines(OllamaEngine(config, bell), ScriptedEngine(bell=bell), bell, preferred, others)


class SeveralEngines:
    """Ollama's models, those of `others` and the demo model; all engines must ring `bell`."""

    def __init__(
        self,
        ollama: OllamaEngine,
        demo: ScriptedEngine,
        bell: Bell,
        preferred: str | None = None,
        others: Sequence[Engine] = (),
    ) -> None:
        """`preferred` is the setting KIRA_MODEL, with or without a tag."""
        self._others = others
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
        for engine in self._others:
            await engine.close()

    async def looked(self) -> None:
        """Return once the Ollama servers were looked at for the first time."""
        await self._ollama.looked()

    async def changed(self) -> None:
        """Return as soon as room or fleet may have changed."""
        await self._bell.heard()

    def wanted(self, models: Collection[str]) -> None:
        """Take note of the models that runs wait for."""
        known = {DEMO} | {model.name for engine in self._others for model in engine.fleet().models}
        self._ollama.wanted([model for model in models if model not in known])

    def room(self) -> list[Room]:
        """Return the models with free slots."""
        others = [room for engine in self._others for room in engine.room()]
        return [*self._ollama.room(), *others, *self._demo.room()]

    def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Stream the answer to `prompt`."""
        if prompt.model == DEMO:
            return self._demo.reply(prompt)
        return next((each for each in self._others if _has(each, prompt.model)), self._ollama).reply(prompt)

    def fleet(self) -> Fleet:
        """Return all models and servers; the demo model counts as a server only while it is in use."""
        if self._fleet is None or self._fleet_at != self._bell.changes:
            self._fleet, self._fleet_at = self._make_fleet(), self._bell.changes
        return self._fleet

    def _make_fleet(self) -> Fleet:
        ollama, demo = self._ollama.fleet(), self._demo.fleet()
        others = [engine.fleet() for engine in self._others]
        real = (*ollama.models, *(model for fleet in others for model in fleet.models))
        servers = (*ollama.servers, *(server for fleet in others for server in fleet.servers))
        default = self._default(real)
        shown = tuple(each for each in demo.servers if default == DEMO or each.running)
        return Fleet((*real, *demo.models), (*servers, *shown), default, advice(real, ollama.servers))

    def _default(self, models: tuple[Model, ...]) -> str:
        names = [model.name for model in models]
        if self._preferred == DEMO:
            return DEMO
        if self._preferred is not None:
            # A server that is down may have it, so it is believed even when nobody lists it now.
            full = self._preferred if ":" in self._preferred else f"{self._preferred}:latest"
            return full if full in names else self._preferred
        return names[0] if names else DEMO


def _has(engine: Engine, model: str) -> bool:
    return any(each.name == model for each in engine.fleet().models)
