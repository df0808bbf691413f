"""Every engine keeps the Engine promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from kira.adapters.engine.scripted import DEMO, ScriptedEngine
from kira.domain.errors import ModelNotFound, ServerBusy
from kira.ports.engine import Engine, Finished, Piece, Text
from kira.testing.asking import (
    answer,
    end_of,
    first_text,
    free,
    hosted_engine,
    ollama_engine,
    prompt_of,
    text_of,
    until,
    until_free,
)
from kira.testing.model_server import ModelServer

SLOTS = 3


@pytest.fixture(params=["ollama", "hosted", "scripted"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    if request.param == "scripted":
        yield ScriptedEngine(words_per_second=500, slots=SLOTS)
        return
    if request.param == "hosted":
        async with (
            ModelServer(slots=SLOTS, rate=500, first=0.005, tokens=60) as server,
            hosted_engine(server.address, slots=SLOTS) as hosted,
        ):
            yield hosted
        return
    async with (
        ModelServer(slots=SLOTS, rate=500, first=0.005, tokens=60) as server,
        ollama_engine(server.address, num_parallel=SLOTS) as ollama,
    ):
        yield ollama


@pytest.fixture
async def model(engine: Engine) -> str:
    """The model of those who chose none, ready."""
    await engine.start()
    await until(engine, engine.room)
    default = engine.fleet().default
    assert default is not None
    return default


async def test_what_has_room_can_be_chosen(engine: Engine, model: str) -> None:
    fleet = engine.fleet()
    assert {room.model for room in engine.room()} <= {each.name for each in fleet.models}
    assert model in {each.name for each in fleet.models}
    assert free(engine, model) == fleet.slots == SLOTS


async def test_every_server_says_in_words_what_was_found(engine: Engine, model: str) -> None:
    for server in engine.fleet().servers:
        assert server.state == "ok"
        assert server.message
        assert server.running == 0


async def test_an_answer_is_text_and_one_end_that_comes_last(engine: Engine, model: str) -> None:
    pieces = await answer(engine, prompt_of(model, "What is a slot?"))
    assert [isinstance(piece, Finished) for piece in pieces].count(True) == 1
    end = end_of(pieces)
    assert end.reason == "stop"
    assert end.prompt_tokens > 0
    assert end.completion_tokens > 0
    assert "slot" in text_of(pieces)


async def test_an_answer_comes_in_many_pieces(engine: Engine, model: str) -> None:
    pieces = await answer(engine, prompt_of(model, "one two three"))
    assert sum(isinstance(piece, Text) for piece in pieces) > 10


async def test_the_answer_is_bounded(engine: Engine, model: str) -> None:
    end = end_of(await answer(engine, prompt_of(model, "one two three", tokens_max=5)))
    assert end.reason == "length"
    assert end.completion_tokens == 5


async def test_a_run_takes_a_slot_and_gives_it_back(engine: Engine, model: str) -> None:
    async with aclosing(engine.reply(prompt_of(model, "one"))) as pieces:
        await first_text(pieces)
        assert free(engine, model) == SLOTS - 1
        assert sum(server.running for server in engine.fleet().servers) == 1
    assert free(engine, model) == SLOTS
    assert sum(server.running for server in engine.fleet().servers) == 0


async def test_a_whole_answer_gives_its_slot_back(engine: Engine, model: str) -> None:
    await answer(engine, prompt_of(model, "one"))
    assert free(engine, model) == SLOTS


async def test_never_more_runs_than_slots(engine: Engine, model: str) -> None:
    running: list[asyncio.Task[list[Piece]]] = []
    for _ in range(SLOTS):
        running.append(asyncio.create_task(answer(engine, prompt_of(model, "one"))))
        await asyncio.sleep(0)
    assert engine.room() == []
    with pytest.raises(ServerBusy) as refused:
        await answer(engine, prompt_of(model, "one too many"))
    assert refused.value.retry
    assert all(text_of(pieces) for pieces in await asyncio.gather(*running))
    await until_free(engine, model, SLOTS)


async def test_a_slot_that_comes_back_is_told(engine: Engine, model: str) -> None:
    async with aclosing(engine.reply(prompt_of(model, "one"))) as pieces:
        await first_text(pieces)
        while True:  # hear everything that rang before
            try:
                async with asyncio.timeout(0.05):
                    await engine.changed()
            except TimeoutError:
                break
        told = asyncio.create_task(engine.changed())
        await asyncio.sleep(0)
        assert not told.done()
    async with asyncio.timeout(5):
        await told
    assert free(engine, model) == SLOTS


async def test_a_reply_that_was_never_begun_takes_nothing(engine: Engine, model: str) -> None:
    await engine.reply(prompt_of(model, "one")).aclose()
    assert free(engine, model) == SLOTS


async def test_a_cancelled_task_gives_its_slot_back(engine: Engine, model: str) -> None:
    task = asyncio.create_task(answer(engine, prompt_of(model, "one")))
    while free(engine, model) == SLOTS:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert free(engine, model) == SLOTS


async def test_a_model_that_nobody_has_is_refused_for_good(engine: Engine, model: str) -> None:
    with pytest.raises(ModelNotFound, match="nothing-like-it") as refused:
        await answer(engine, prompt_of("nothing-like-it", "hello"))
    assert not refused.value.retry
    assert free(engine, model) == SLOTS


async def test_wanting_models_changes_nothing_while_there_is_room(engine: Engine, model: str) -> None:
    engine.wanted([model])
    assert free(engine, model) == SLOTS
    engine.wanted([])
    assert free(engine, model) == SLOTS


async def test_starting_twice_and_closing_twice_does_no_harm(engine: Engine, model: str) -> None:
    await engine.start()
    assert free(engine, model) == SLOTS
    await engine.close()
    await engine.close()


def test_the_demo_model_is_labelled_as_one() -> None:
    (model,) = ScriptedEngine().fleet().models
    assert model.demo
    assert model.name == DEMO
