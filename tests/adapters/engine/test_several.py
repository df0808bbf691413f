"""Which model is taken when nobody chose, and what is advised when there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from kira.adapters.engine import vram
from kira.adapters.engine.ollama import OllamaConfig
from kira.adapters.engine.scripted import ANSWER, DEMO, ScriptedEngine, answer_to
from kira.adapters.engine.several import SeveralEngines, open_engine
from kira.domain.errors import ServerDown
from kira.ports.engine import Engine
from kira.testing.asking import answer, first_text, free, prompt_of, text_of, until
from kira.testing.model_server import FakeModel, ModelServer

NOBODY = "http://127.0.0.1:9"


@asynccontextmanager
async def several(*addresses: str, preferred: str | None = None) -> AsyncIterator[SeveralEngines]:
    """Open the engine of a home."""
    config = OllamaConfig(addresses, pause_min=0.02, pause_max=0.1, look_when_empty=0.05)
    engine = open_engine(config, preferred)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def until_known(engine: Engine) -> None:
    """Return when every server was looked at."""
    await until(engine, lambda: all(server.message for server in engine.fleet().servers))


async def test_without_ollama_the_demo_model_answers_and_help_is_offered() -> None:
    async with several(NOBODY) as engine:
        await until_known(engine)
        fleet = engine.fleet()
        assert fleet.default == DEMO
        assert [model.name for model in fleet.models if model.demo] == [DEMO]
        assert fleet.advice is not None
        assert "ollama serve" in fleet.advice
        assert "ollama pull llama3.2" in fleet.advice
        assert [server.state for server in fleet.servers] == ["down", "ok"]
        assert "demo model" in text_of(await answer(engine, prompt_of(DEMO, "hello", tokens_max=12)))


async def test_an_ollama_without_models_is_told_what_to_pull_and_found_again() -> None:
    async with ModelServer(models=()) as server, several(server.address) as engine:
        await until(engine, lambda: engine.fleet().servers[0].state == "empty")
        assert engine.fleet().default == DEMO
        assert "no model yet" in (engine.fleet().advice or "")
        server.behaviour.models = (FakeModel("test:latest"),)
        await until(engine, lambda: engine.fleet().default == "test:latest")
        assert engine.fleet().advice is None


async def test_a_real_model_comes_first_and_the_demo_model_stays() -> None:
    models = (FakeModel("embedder", capabilities=("embedding",)), FakeModel("red:1b"), FakeModel("blue:1b"))
    async with ModelServer(models=models) as server, several(server.address) as engine:
        await until(engine, lambda: engine.fleet().default == "red:1b")
        fleet = engine.fleet()
        assert [model.name for model in fleet.models] == ["red:1b", "blue:1b", DEMO]
        assert [server.name for server in fleet.servers] == [server.address.removeprefix("http://")]
        async with aclosing(engine.reply(prompt_of(DEMO, "hello"))) as pieces:
            await first_text(pieces)
            assert [server.name for server in engine.fleet().servers][-1] == DEMO


@pytest.mark.parametrize(
    ("preferred", "default"),
    [("blue:1b", "blue:1b"), ("green", "green:latest"), (DEMO, DEMO), ("elsewhere:7b", "elsewhere:7b")],
)
async def test_the_setting_decides(preferred: str, default: str) -> None:
    models = (FakeModel("red:1b"), FakeModel("blue:1b"), FakeModel("green:latest"))
    async with ModelServer(models=models) as server, several(server.address, preferred=preferred) as engine:
        await until(engine, lambda: len(engine.fleet().models) == 4)
        assert engine.fleet().default == default


async def test_a_model_of_a_server_that_went_down_is_still_known() -> None:
    async with ModelServer() as server, several(server.address) as engine:
        await until(engine, lambda: engine.fleet().default == "test:latest")
        await server.stop()
        with pytest.raises(ServerDown):
            await answer(engine, prompt_of("test:latest", "hello"))
        assert engine.fleet().servers[0].state == "down"
        assert engine.fleet().default == "test:latest"


async def test_both_engines_ring_one_bell() -> None:
    async with ModelServer(rate=500) as server, several(server.address) as engine:
        await until(engine, lambda: free(engine, "test:latest"))
        for model in (DEMO, "test:latest"):
            before = free(engine, model)
            async with aclosing(engine.reply(prompt_of(model, "hello"))) as pieces:
                await first_text(pieces)
                assert free(engine, model) < before
            await until(engine, lambda: free(engine, model) == before)  # noqa: B023 - awaited within the loop


async def test_the_demo_model_streams_its_whole_text() -> None:
    engine = ScriptedEngine(words_per_second=5000)
    prompt = prompt_of(DEMO, "What   is\nthis?")
    assert text_of(await answer(engine, prompt)) == answer_to(prompt)


def test_the_demo_model_is_honest_and_quotes_the_question() -> None:
    text = answer_to(prompt_of(DEMO, "first", "answer", "What   is\nthis? " + "x" * 500))
    assert "not a language model" in text
    assert "> What is this? xxx" in text
    assert "x ..." in text
    assert "message 3" in text
    assert "{" not in text
    assert ANSWER.count("{") == 3


def test_a_computer_without_nvidias_driver_has_no_card() -> None:
    found = vram.card_mib()
    assert found is None or found > 0
