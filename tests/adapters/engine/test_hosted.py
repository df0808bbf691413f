"""What a hosted provider does wrong is told with what helps, and a run goes again where that may help."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from kira.adapters.engine.hosted.config import HostedConfig
from kira.adapters.engine.hosted.engine import HostedEngine
from kira.adapters.engine.ollama import OllamaConfig
from kira.adapters.engine.several import open_engine
from kira.domain.errors import EngineError, ServerBusy, ServerDown, StreamCut, TooLong, TooSlow
from kira.ports.engine import Finished, ToolCall
from kira.testing.asking import answer, end_of, first_text, free, hosted_engine, prompt_of, text_of, until, until_free
from kira.testing.model_server import FakeModel, ModelServer
from kira.testing.model_server.behaviour import Fault, FaultKind

MODEL = "test:latest"
QUICK: dict[str, Any] = {"rate": 2000.0, "first": 0.001, "tokens": 20}
KEY = "sk-never-to-be-told"


@pytest.mark.parametrize(
    ("kind", "error", "retry", "told"),
    [
        ("500", StreamCut, True, "failed (500"),
        ("busy", ServerBusy, True, "wants fewer requests"),
        ("memory", TooLong, False, "longer than the model can read"),
        ("missing", EngineError, False, "does not have test:latest"),
        ("error-line", StreamCut, True, "stopped: The model produced an error."),
        ("cut", StreamCut, True, "stopped in the middle"),
        ("down", EngineError, True, ""),
        ("stall", TooSlow, True, "said nothing"),
    ],
)
async def test_what_goes_wrong_is_told(kind: FaultKind, error: type[EngineError], retry: bool, told: str) -> None:
    async with ModelServer(**QUICK) as server, hosted_engine(server.address, gap_s=0.2) as engine:
        server.fault = Fault(kind)
        with pytest.raises(error) as raised:
            await answer(engine, prompt_of(MODEL, "one two three"))
        assert raised.value.retry is retry
        assert told in raised.value.message
        server.fault = None
        await until_free(engine, MODEL, 8)
        assert text_of(await answer(engine, prompt_of(MODEL, "say:still here"))) == "still here"
        assert engine.fleet().servers[0].state == "ok"


async def test_a_wrong_key_is_told_without_the_key() -> None:
    async with ModelServer(key="right", **QUICK) as server, hosted_engine(server.address, key=KEY) as engine:
        with pytest.raises(EngineError, match="does not accept Kira's key") as raised:
            await answer(engine, prompt_of(MODEL, "hello"))
        assert not raised.value.retry
        assert KEY not in raised.value.message + str(engine.fleet())
    async with ModelServer(key=KEY, **QUICK) as server, hosted_engine(server.address, key=KEY) as engine:
        assert text_of(await answer(engine, prompt_of(MODEL, "say:come in"))) == "come in"


@pytest.mark.parametrize("kind", ["garbage", "split", "slow"])
async def test_an_odd_stream_is_read_whole(kind: FaultKind) -> None:
    async with ModelServer(**QUICK) as server, hosted_engine(server.address) as engine:
        server.fault = Fault(kind)
        pieces = await answer(engine, prompt_of(MODEL, "say:It is whole, with ümläuts and 漢字."))
        assert text_of(pieces) == "It is whole, with ümläuts and 漢字."
        assert end_of(pieces).reason == "stop"


async def test_tools_that_are_asked_for_come_in_one_piece() -> None:
    async with ModelServer(**QUICK) as server, hosted_engine(server.address) as engine:
        pieces = await answer(engine, prompt_of(MODEL, 'tool:weather {"city": "Bern"}', tools=({"type": "function"},)))
        assert [piece for piece in pieces if isinstance(piece, ToolCall)] == [
            ToolCall("call_1", "weather", {"city": "Bern"})
        ]
        assert isinstance(pieces[-1], Finished)
        assert server.stats.asked[-1]["tools"] == [{"type": "function"}]


async def test_a_provider_that_wants_the_newer_bound_gets_it() -> None:
    async with ModelServer(**QUICK) as server, hosted_engine(server.address) as engine:
        server.fault = Fault("bound")
        for _ in range(2):
            assert end_of(await answer(engine, prompt_of(MODEL, "one", tokens_max=5))).completion_tokens == 5
        assert [("max_tokens" in asked) for asked in server.stats.asked] == [True, False, False]


async def test_a_provider_that_is_away_rests_before_it_is_asked_again() -> None:
    async with hosted_engine("http://127.0.0.1:9") as engine:
        with pytest.raises(ServerDown, match="does not answer"):
            await answer(engine, prompt_of(MODEL, "hello"))
        assert engine.room() == []
        assert engine.fleet().servers[0].state == "down"
        await until_free(engine, MODEL, 8)


async def test_closing_a_reply_ends_the_request() -> None:
    async with ModelServer(rate=20.0, first=0.001) as server, hosted_engine(server.address) as engine:
        async with aclosing(engine.reply(prompt_of(MODEL, "one two"))) as pieces:
            await first_text(pieces)
        async with asyncio.timeout(20):
            while not server.stats.cancelled:
                await asyncio.sleep(0.005)
        assert server.stats.cancelled == 1


async def test_what_was_spent_is_counted_where_the_provider_says_nothing() -> None:
    async with ModelServer(**QUICK) as server, hosted_engine(server.address) as engine:
        server.behaviour.usage = False
        end = end_of(await answer(engine, prompt_of(MODEL, "one two three")))
        assert end.completion_tokens == 20
        assert end.prompt_tokens > 0


async def test_at_home_it_stands_beside_ollama_and_the_demo_model() -> None:
    async with ModelServer(models=(FakeModel("far"),), **QUICK) as server:
        config = HostedConfig(f"{server.address}/v1", "", ("far", "farther"))
        ollama = OllamaConfig(("http://127.0.0.1:9",), pause_min=0.02, look_when_empty=0.05)
        engine = open_engine(ollama, None, lambda bell: HostedEngine(config, bell))
        await engine.start()
        await until(engine, lambda: all(each.message for each in engine.fleet().servers))
        fleet = engine.fleet()
        assert [model.name for model in fleet.models] == ["far", "farther", "demo"]
        assert fleet.default == "far"
        assert fleet.advice is None
        assert free(engine, "far") == 8
        assert text_of(await answer(engine, prompt_of("far", "say:hello"))) == "hello"
        await engine.close()
