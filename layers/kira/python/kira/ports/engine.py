"""The engine: streams a reply from a model, lists models, and says how many slots there are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Line:
    """One message as a model reads it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked: `tokens_max` bounds the answer, `think` asks for thinking where the model can."""

    model: str
    messages: Sequence[Line]
    tokens_max: int
    think: bool | None = None
    tools: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """What the engine does before text comes (`loading llama3.2`), or what it left out; one plain sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole; `reason` is `stop` or `length`."""

    prompt_tokens: int
    completion_tokens: int
    reason: str


Piece = Notice | Text | Thinking | ToolCall | Finished


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be chosen. `context` in tokens per slot, `size` in bytes; None where unknown."""

    name: str
    label: str
    context: int | None = None
    size: int | None = None
    loaded: bool = False
    demo: bool = False
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """How many further runs of `model` may begin now; `loaded` when that costs no loading."""

    model: str
    free: int
    loaded: bool


@dataclass(frozen=True, slots=True)
class Server:
    """A model server as people see it: `message` says in words what was found and what would help."""

    name: str
    state: Literal["ok", "down", "slow", "empty"]
    message: str
    model: str | None = None
    slots: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """All model servers at one moment.

    `default` is the model of those who chose none; `advice` says what to do when there is nothing to choose.
    """

    models: tuple[Model, ...]
    servers: tuple[Server, ...]
    default: str | None = None
    advice: str | None = None

    @property
    def slots(self) -> int:
        """How many runs can go at once on all servers."""
        return sum(server.slots for server in self.servers)

    def joined(self, others: Iterable[Fleet]) -> Fleet:
        """Return this fleet together with `others`: every model once, every server, the first default that is real."""
        fleets = [self, *others]
        models: dict[str, Model] = {}
        for fleet in fleets:
            for model in fleet.models:
                known = models.get(model.name)
                models[model.name] = replace(known, loaded=known.loaded or model.loaded) if known else model
        real = [model.name for model in models.values() if not model.demo]
        default = next((fleet.default for fleet in fleets if fleet.default in real), self.default)
        servers = tuple(server for fleet in fleets for server in fleet.servers)
        advice = None if real else next((fleet.advice for fleet in fleets if fleet.advice), None)
        return Fleet(tuple(sorted(models.values(), key=lambda model: model.demo)), servers, default, advice)


class Engine(Protocol):
    """Model servers behind one promise. Never more runs at one server than it has slots."""

    def fleet(self) -> Fleet:
        """Return what is known now, without asking anybody."""

    def room(self) -> list[Room]:
        """Return the models that have free slots now; empty when nothing can begin."""

    def wanted(self, models: Collection[str]) -> None:
        """Take note that runs wait for `models`, so that a server busy with one model makes room for another.

        To be told again about every second while runs wait; without it a busy server is never drained.
        """

    async def looked(self) -> None:
        """Return once every server was looked at for the first time, whether it answered or not."""

    async def changed(self) -> None:
        """Return as soon as `room` or `fleet` may have changed since the last call."""

    def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Stream the answer to `prompt`; takes a slot at once and gives it back when the generator is closed.

        Raises an EngineError: its `retry` says whether the run waits and goes again. Closing the generator
        closes the connection to the model server, which frees its slot. When the prompt is longer than the
        context, it is fitted (the oldest messages go first, never the system text nor the last message) and
        a Notice says so.
        """

    async def start(self) -> None:
        """Begin watching the model servers; returns at once."""

    async def close(self) -> None:
        """Stop watching and close every connection."""
