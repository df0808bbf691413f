"""Several servers and several models: the best server is taken, one that fails is passed over, none starves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from kira.adapters.engine.ollama import OllamaEngine
from kira.adapters.engine.ollama.config import is_local
from kira.domain.errors import ServerBusy, StreamCut, TooLong
from kira.ports.engine import Notice, Thinking, ToolCall
from kira.testing.asking import (
    answer,
    answer_all,
    first_text,
    free,
    notices_of,
    ollama_engine,
    prompt_of,
    text_of,
    until,
    until_free,
)
from kira.testing.model_server import FakeModel, ModelServer

MODEL = "test:latest"
QUICK: dict[str, Any] = {"rate": 500.0, "first": 0.005, "tokens": 30}
TWO = (FakeModel("red:latest"), FakeModel("blue:latest"))


@pytest.fixture
async def two() -> AsyncIterator[tuple[ModelServer, ModelServer]]:
    """Two servers with two slots each."""
    async with ModelServer(slots=2, **QUICK) as first, ModelServer(slots=2, **QUICK) as second:
        yield first, second


@pytest.fixture
async def engine(two: tuple[ModelServer, ModelServer]) -> AsyncIterator[OllamaEngine]:
    """An engine over both."""
    async with ollama_engine(*(server.address for server in two), num_parallel=2) as opened:
        await until_free(opened, MODEL, 4)
        yield opened


async def test_runs_go_to_the_server_with_fewer_runs(
    two: tuple[ModelServer, ModelServer], engine: OllamaEngine
) -> None:
    assert engine.fleet().slots == 4
    assert len(engine.fleet().models) == 1
    await answer_all(engine, MODEL, [f"q{at}" for at in range(12)])
    assert [server.stats.running_max for server in two] == [2, 2]
    assert not any(server.stats.waited for server in two)


async def test_a_server_that_has_the_model_loaded_is_preferred(
    two: tuple[ModelServer, ModelServer], engine: OllamaEngine
) -> None:
    await answer(engine, prompt_of(MODEL, "first"))
    pieces = await answer(engine, prompt_of(MODEL, "second"))
    assert notices_of(pieces) == []
    assert sorted(server.stats.answered for server in two) == [0, 2]
    assert [room.loaded for room in engine.room()] == [True]


async def test_when_one_server_dies_the_others_go_on(
    two: tuple[ModelServer, ModelServer], engine: OllamaEngine
) -> None:
    async with AsyncExitStack() as stack:
        replies = [await stack.enter_async_context(aclosing(engine.reply(prompt_of(MODEL, "a")))) for _ in range(3)]
        for reply in replies:
            await first_text(reply)
        assert sorted(server.stats.running for server in two) == [1, 2]
        await two[0].stop()
        ended = await asyncio.gather(*map(_drained, replies), return_exceptions=True)
    cut = [type(each) for each in ended].count(StreamCut)
    assert cut in (1, 2)
    assert ended.count(None) == 3 - cut
    assert free(engine, MODEL) == 2
    assert text_of(await answer(engine, prompt_of(MODEL, "b")))
    states = {server.state for server in engine.fleet().servers}
    assert states == {"ok", "down"}
    await two[0].start()
    await until_free(engine, MODEL, 4)


async def _drained(reply: Any) -> None:
    async for _ in reply:
        pass


async def test_loading_is_told_once(two: tuple[ModelServer, ModelServer]) -> None:
    async with ollama_engine(two[0].address, num_parallel=2) as engine:
        await until_free(engine, MODEL, 2)
        assert notices_of(await answer(engine, prompt_of(MODEL, "a"))) == ["loading test", "reading your question"]
        assert notices_of(await answer(engine, prompt_of(MODEL, "a"))) == []


async def test_a_name_without_a_tag_means_the_latest(engine: OllamaEngine) -> None:
    assert text_of(await answer(engine, prompt_of("test", "hello"))).startswith("hello")


async def test_another_model_has_no_room_while_one_runs() -> None:
    async with ModelServer(slots=2, models=TWO, **QUICK) as server, ollama_engine(server.address) as engine:
        await until(engine, engine.room)
        assert {room.model: room.free for room in engine.room()} == {"red:latest": 1, "blue:latest": 1}
        async with aclosing(engine.reply(prompt_of("red:latest", "a"))) as pieces:
            await first_text(pieces)
            assert free(engine, "blue:latest") == 0
            with pytest.raises(ServerBusy):
                await answer(engine, prompt_of("blue:latest", "b"))
        await until(engine, lambda: free(engine, "blue:latest"))
        assert text_of(await answer(engine, prompt_of("blue:latest", "b")))
        assert server.stats.loads == 2


async def test_two_models_that_are_both_loaded_run_together() -> None:
    async with (
        ModelServer(slots=2, models=TWO, loaded_max=2, **QUICK) as server,
        ollama_engine(server.address, num_parallel=2, look=0.02) as engine,
    ):
        await until(engine, engine.room)
        await answer(engine, prompt_of("red:latest", "a"))
        await until(engine, lambda: free(engine, "blue:latest"))
        await answer(engine, prompt_of("blue:latest", "a"))
        await until(engine, lambda: all(room.loaded for room in engine.room()))
        await asyncio.gather(*(answer_all(engine, name, ["a", "b", "c"]) for name in ("red:latest", "blue:latest")))
        assert server.stats.loads == 2


async def test_what_is_loaded_goes_first_when_both_are_wanted() -> None:
    async with ModelServer(models=TWO, **QUICK) as server, ollama_engine(server.address, slots=1) as engine:
        await until(engine, engine.room)
        await answer(engine, prompt_of("red:latest", "a"))
        engine.wanted(["blue:latest", "red:latest"])
        assert [room.model for room in engine.room()] == ["red:latest"]
        engine.wanted(["blue:latest"])
        assert free(engine, "blue:latest") == 1


async def test_a_model_that_waits_long_makes_a_busy_server_drain() -> None:
    async with (
        ModelServer(slots=2, models=TWO, **QUICK) as server,
        ollama_engine(server.address, num_parallel=2, model_change=0.05) as engine,
    ):
        await until(engine, engine.room)
        both = {"red:latest": [f"r{at}" for at in range(40)], "blue:latest": ["b"]}
        order: list[str] = []
        running: set[asyncio.Task[None]] = set()

        async def ask(model: str, question: str) -> None:
            await answer(engine, prompt_of(model, question))
            order.append(question)

        async with asyncio.timeout(20):
            while any(both.values()):
                engine.wanted([model for model, waiting in both.items() if waiting])
                for room in engine.room():
                    for _ in range(min(room.free, len(both[room.model]))):
                        running.add(asyncio.create_task(ask(room.model, both[room.model].pop(0))))
                        await asyncio.sleep(0)
                await engine.changed()
            await asyncio.gather(*running)
        assert len(order) == 41
        assert order.index("b") < 30
        assert server.stats.loads == 3
        assert server.stats.waiting_max <= 1


async def test_a_promise_ends_when_nobody_wants_the_model_any_more() -> None:
    async with (
        ModelServer(models=TWO, **QUICK) as server,
        ollama_engine(server.address, num_parallel=2, model_change=0) as engine,
    ):
        await until(engine, engine.room)
        async with aclosing(engine.reply(prompt_of("red:latest", "a"))) as pieces:
            await first_text(pieces)
            engine.wanted(["blue:latest"])
            assert engine.room() == []
            engine.wanted([])
            assert free(engine, "red:latest") == 1


async def test_embedders_cannot_be_chosen() -> None:
    models = (FakeModel("embedder", family="bert", capabilities=("embedding",)), FakeModel(MODEL))
    async with ModelServer(models=models, **QUICK) as server, ollama_engine(server.address) as engine:
        await until(engine, engine.room)
        assert [model.name for model in engine.fleet().models] == [MODEL]
        assert engine.fleet().default == MODEL
        assert [room.model for room in engine.room()] == [MODEL]


async def test_the_context_is_that_of_the_loaded_model() -> None:
    async with ModelServer(context=2048, **QUICK) as server, ollama_engine(server.address) as engine:
        await until(engine, engine.room)
        await answer(engine, prompt_of(MODEL, "a"))
        assert [model.context for model in engine.fleet().models] == [2048]


async def test_a_long_conversation_is_fitted_and_the_user_told() -> None:
    said = [f"{at} " + "x" * 600 for at in range(20)] + ["and now?"]
    async with ModelServer(context=2048, **QUICK) as server, ollama_engine(server.address) as engine:
        await until(engine, engine.room)
        pieces = await answer(engine, prompt_of(MODEL, *said, system="Be kind.", tokens_max=200))
        told = notices_of(pieces)
        assert told[0] == "loading test"
        assert "oldest messages were left out" in told[2]
        asked = next(body["messages"] for body in server.stats.asked if len(body["messages"]) > 1)
        assert asked[0] == {"role": "system", "content": "Be kind."}
        assert asked[-1] == {"role": "user", "content": "and now?"}
        assert len(asked) < len(said)


async def test_a_message_that_is_too_long_is_refused_before_it_is_sent() -> None:
    async with ModelServer(context=2048, **QUICK) as server, ollama_engine(server.address) as engine:
        await until(engine, engine.room)
        with pytest.raises(TooLong):
            await answer(engine, prompt_of(MODEL, "x" * 20_000))
        assert not any(body["messages"] for body in server.stats.asked)
        assert free(engine, MODEL) == 1


async def test_thinking_and_tools_go_only_to_models_that_can() -> None:
    models = (
        FakeModel("thinker", capabilities=("completion", "thinking", "tools")),
        FakeModel("plain:1", capabilities=("completion",)),
    )
    tool = {"type": "function", "function": {"name": "weather"}}
    async with (
        ModelServer(models=models, loaded_max=2, **QUICK) as server,
        ollama_engine(server.address, slots=1) as engine,
    ):
        await until(engine, engine.room)
        pieces = await answer(engine, prompt_of("thinker", 'tool:weather {"city": "Bern"}', think=True, tools=[tool]))
        assert "".join(piece.text for piece in pieces if isinstance(piece, Thinking)) == "Let me think about it."
        assert [piece for piece in pieces if isinstance(piece, ToolCall)] == [
            ToolCall("call_1", "weather", {"city": "Bern"})
        ]
        await until(engine, lambda: free(engine, "plain:1"))
        assert text_of(await answer(engine, prompt_of("plain:1", "a", think=True, tools=[tool])))
        assert "think" not in server.stats.asked[-1]
        assert "tools" not in server.stats.asked[-1]


@pytest.mark.parametrize(("given", "sent"), [(None, None), ("30m", "30m"), ("-1", -1), ("0", 0), ("3600", 3600)])
async def test_keep_alive_is_sent_as_ollama_reads_it(given: str | None, sent: object) -> None:
    async with (
        ModelServer(**QUICK) as server,
        ollama_engine(server.address, slots=1, keep_alive=given) as engine,
    ):
        await until(engine, engine.room)
        await answer(engine, prompt_of(MODEL, "a"))
        assert server.stats.asked[-1].get("keep_alive") == sent


async def test_the_room_on_the_card_is_told_in_words() -> None:
    async with (
        ModelServer(**QUICK) as server,
        ollama_engine(server.address, num_parallel=1, look=0.02, card_mib=lambda: 24_576) as engine,
    ):
        await until(engine, engine.room)
        await answer(engine, prompt_of(MODEL, "a"))
        said = "Ollama answers one at a time; this card has room for 16: set OLLAMA_NUM_PARALLEL=16"
        await until(engine, lambda: engine.fleet().servers[0].message == said)


async def test_a_reply_begins_with_its_notices() -> None:
    async with ModelServer(**QUICK) as server, ollama_engine(server.address) as engine:
        await until(engine, engine.room)
        pieces = await answer(engine, prompt_of(MODEL, "a"))
        assert [isinstance(piece, Notice) for piece in pieces] == [True, True] + [False] * (len(pieces) - 2)


async def test_the_card_of_a_server_elsewhere_is_a_setting() -> None:
    async with (
        ModelServer(slots=2, **QUICK) as server,
        ollama_engine(server.address, vram_mib=24_576, card_mib=lambda: 1) as engine,
    ):
        await until(engine, engine.room)
        await answer(engine, prompt_of(MODEL, "a"))
        said = "Ollama answers 2 at a time; this card has room for 16: set OLLAMA_NUM_PARALLEL=16"
        await until(engine, lambda: engine.fleet().servers[0].message == said)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:11434", True),
        ("http://localhost:11434", True),
        ("http://[::1]:11434", True),
        ("http://10.0.0.5:11434", False),
        ("http://gpu.example.org", False),
    ],
)
def test_only_this_computers_settings_are_believed(address: str, local: bool) -> None:
    assert is_local(address) is local
