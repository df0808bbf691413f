"""Asks engines in tests: waits until they are ready, gathers answers, counts how many go at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from kira.adapters.engine.hosted.config import HostedConfig
from kira.adapters.engine.hosted.engine import HostedEngine
from kira.adapters.engine.ollama import OllamaConfig, OllamaEngine
from kira.ports.engine import Engine, Finished, Line, Notice, Piece, Prompt, Text

PATIENCE_S = 20.0


@asynccontextmanager
async def ollama_engine(*addresses: str, **settings: Any) -> AsyncIterator[OllamaEngine]:
    """Open an engine over the servers at `addresses`, with the fields of OllamaConfig in `settings`."""
    quick = {"pause_min": 0.02, "pause_max": 0.1, "look": 5.0, "look_when_empty": 0.05, "look_timeout": 2.0}
    engine = OllamaEngine(OllamaConfig(addresses, **{**quick, **settings}))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def hosted_engine(address: str, **settings: Any) -> AsyncIterator[HostedEngine]:
    """Open an engine over the provider at `address`, with the fields of HostedConfig in `settings`."""
    given: dict[str, Any] = {"key": "", "models": ("test:latest",), "rest_s": 0.05, **settings}
    engine = HostedEngine(HostedConfig(f"{address}/v1", **given))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def until(engine: Engine, is_so: Callable[[], object]) -> None:
    """Return when `is_so` is true, looking after every change that `engine` tells."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await engine.changed()


async def until_free(engine: Engine, model: str, slots: int) -> None:
    """Return when `slots` runs of `model` could begin."""
    await until(engine, lambda: free(engine, model) == slots)


def free(engine: Engine, model: str) -> int:
    """Return how many runs of `model` can begin now."""
    return sum(room.free for room in engine.room() if room.model == model)


def prompt_of(model: str, *said: str, tokens_max: int = 1000, system: str | None = None, **more: Any) -> Prompt:
    """Return a conversation that begins with the user and alternates; the last of `said` is the question."""
    lines = [Line("system", system)] if system else []
    lines += [Line("assistant" if at % 2 else "user", text) for at, text in enumerate(said)]
    return Prompt(model, lines, tokens_max, **more)


async def answer(engine: Engine, prompt: Prompt) -> list[Piece]:
    """Return all pieces of the answer; raises what the engine raises."""
    async with asyncio.timeout(PATIENCE_S), aclosing(engine.reply(prompt)) as pieces:
        return [piece async for piece in pieces]


async def first_text(pieces: Any) -> str:
    """Read a reply up to its first text and return that."""
    async for piece in pieces:
        if isinstance(piece, Text):
            return piece.text
    raise AssertionError("the reply has no text")


def text_of(pieces: Sequence[Piece]) -> str:
    """Return the answer's text."""
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


def notices_of(pieces: Sequence[Piece]) -> list[str]:
    """Return what the engine told beside the answer."""
    return [piece.text for piece in pieces if isinstance(piece, Notice)]


def end_of(pieces: Sequence[Piece]) -> Finished:
    """Return the end of the answer."""
    last = pieces[-1]
    if not isinstance(last, Finished):
        raise TypeError(f"the answer ends with {last}")
    return last


async def answer_all(engine: Engine, model: str, questions: Sequence[str]) -> list[str]:
    """Ask every question as a worker does: never more at once than `engine` has room for; return the answers."""
    answers: dict[str, str] = {}
    waiting, running = list(questions), set[asyncio.Task[None]]()

    async def ask(question: str) -> None:
        answers[question] = text_of(await answer(engine, prompt_of(model, question)))

    async with asyncio.timeout(PATIENCE_S * 3):
        while waiting:
            for _ in range(min(free(engine, model), len(waiting))):
                task = asyncio.create_task(ask(waiting.pop(0)))
                running.add(task)
                await asyncio.sleep(0)  # the reply takes its slot at its first step
            if waiting:
                await engine.changed()
        await asyncio.gather(*running)
    return [answers[question] for question in questions]
