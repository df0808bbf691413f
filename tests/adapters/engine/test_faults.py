"""Every fault of a model server becomes the error that fits, and Kira goes on as soon as the server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from kira.adapters.engine.ollama import OllamaEngine, faults
from kira.domain.errors import (
    EngineError,
    ModelNotFound,
    NoModel,
    OutOfMemory,
    ServerBusy,
    ServerDown,
    StreamCut,
    TooLong,
    TooSlow,
)
from kira.testing.asking import answer, end_of, first_text, free, ollama_engine, prompt_of, text_of, until, until_free
from kira.testing.model_server import Fault, ModelServer
from kira.testing.model_server.behaviour import FaultKind

MODEL = "test:latest"
WORDS = "one two three four five"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(slots=2, rate=500, first=0.005, tokens=30) as opened:
        yield opened


@pytest.fixture
async def engine(server: ModelServer) -> AsyncIterator[OllamaEngine]:
    settings = {"num_parallel": 2, "token_gap": 0.05, "first_token": 0.3, "look_timeout": 0.3}
    async with ollama_engine(server.address, **settings) as opened:
        await until_free(opened, MODEL, 2)
        yield opened


async def refused(engine: OllamaEngine, error: type[EngineError]) -> EngineError:
    """Ask, and return the error that comes."""
    with pytest.raises(error) as caught:
        await answer(engine, prompt_of(MODEL, WORDS))
    assert type(caught.value) is error
    return caught.value


async def well_again(engine: OllamaEngine) -> None:
    """Wait until both slots are free and an answer comes whole."""
    await until_free(engine, MODEL, 2)
    assert end_of(await answer(engine, prompt_of(MODEL, WORDS))).completion_tokens == 30
    assert engine.fleet().servers[0].state == "ok"


@pytest.mark.parametrize(
    ("kind", "error", "retry", "said"),
    [
        ("busy", ServerBusy, True, "busy with other work"),
        ("memory", OutOfMemory, False, "Choose a smaller model"),
        ("500", StreamCut, True, "stopped in the middle"),
        ("missing", ModelNotFound, False, "ollama pull test:latest"),
        ("error-line", StreamCut, True, "unexpected EOF"),
        ("cut", StreamCut, True, "stopped in the middle"),
        ("stall", TooSlow, True, "said nothing"),
        ("down", ServerDown, True, "ollama serve"),
    ],
)
async def test_a_fault_is_told_with_its_remedy_and_passes(
    server: ModelServer, engine: OllamaEngine, kind: FaultKind, error: type[EngineError], retry: bool, said: str
) -> None:
    await answer(engine, prompt_of(MODEL, "so that the model is loaded"))
    server.fault = Fault(kind)
    failed = await refused(engine, StreamCut if kind == "down" else error)
    assert failed.retry is retry
    if kind == "down":
        await until(engine, lambda: engine.fleet().servers[0].state == "down")
        failed = await refused(engine, error)
    assert said in failed.message
    server.fault = None
    await well_again(engine)


async def test_out_of_memory_while_loading_names_the_model(server: ModelServer, engine: OllamaEngine) -> None:
    server.fault = Fault("memory", text="cudaMalloc failed: out of memory")
    failed = await refused(engine, OutOfMemory)
    assert MODEL in failed.message
    assert "KIRA_CONTEXT" in failed.message


async def test_out_of_memory_in_the_middle_of_an_answer(server: ModelServer, engine: OllamaEngine) -> None:
    server.fault = Fault("error-line", text="CUDA error: out of memory")
    await refused(engine, OutOfMemory)
    server.fault = None
    await well_again(engine)


async def test_an_error_without_a_name_is_told_as_it_is_and_does_not_go_again(
    server: ModelServer, engine: OllamaEngine
) -> None:
    server.fault = Fault("500", text="something odd")
    failed = await refused(engine, EngineError)
    assert not failed.retry
    assert "something odd" in failed.message


@pytest.mark.parametrize("kind", ["garbage", "split", "slow"])
async def test_a_strange_stream_is_read_to_its_end(server: ModelServer, engine: OllamaEngine, kind: FaultKind) -> None:
    server.behaviour.rate = 2000
    server.fault = Fault(kind)
    pieces = await answer(engine, prompt_of(MODEL, WORDS))
    assert text_of(pieces) == " ".join(WORDS.split() * 6)


async def test_a_server_that_is_silent_is_given_up_and_taken_back(server: ModelServer, engine: OllamaEngine) -> None:
    await answer(engine, prompt_of(MODEL, "so that the model is loaded"))
    server.fault = Fault("silent")
    await refused(engine, TooSlow)
    await until(engine, lambda: engine.fleet().servers[0].state == "down")
    server.fault = None
    await well_again(engine)


async def test_a_server_that_stalls_is_told_as_slow_until_it_answers(server: ModelServer, engine: OllamaEngine) -> None:
    server.fault = Fault("stall")
    await refused(engine, TooSlow)
    assert engine.fleet().servers[0].state == "slow"
    server.fault = None
    await well_again(engine)


async def test_a_server_that_is_busy_rests_before_it_is_asked_again(server: ModelServer, engine: OllamaEngine) -> None:
    server.fault = Fault("busy")
    await refused(engine, ServerBusy)
    assert free(engine, MODEL) == 0
    await until(engine, lambda: free(engine, MODEL))
    server.fault = None
    await well_again(engine)


async def test_a_server_that_is_killed_in_the_middle_of_an_answer(server: ModelServer, engine: OllamaEngine) -> None:
    server.behaviour.rate = 20
    async with aclosing(engine.reply(prompt_of(MODEL, WORDS))) as pieces:
        await first_text(pieces)
        await server.stop()
        with pytest.raises(StreamCut):
            await first_text(pieces)
            await first_text(pieces)
    assert engine.room() == []
    await until(engine, lambda: "does not answer" in engine.fleet().servers[0].message)
    await refused(engine, ServerDown)
    server.behaviour.rate = 500
    await server.start()
    await well_again(engine)


async def test_a_server_that_restarts_is_used_again(server: ModelServer, engine: OllamaEngine) -> None:
    await server.restart(0.05)
    await well_again(engine)
    await server.stop()
    await refused(engine, ServerDown)
    await server.start()
    await well_again(engine)


async def test_before_any_server_answered_nothing_can_begin() -> None:
    async with ollama_engine("http://127.0.0.1:9") as engine:
        assert engine.room() == []
        await until(engine, lambda: engine.fleet().servers[0].message)
        assert "does not answer" in engine.fleet().servers[0].message
        await refused(engine, ServerDown)


async def test_a_server_without_a_model_says_what_to_pull() -> None:
    async with ModelServer(models=()) as server, ollama_engine(server.address) as engine:
        await until(engine, lambda: engine.fleet().servers[0].state == "empty")
        assert "ollama pull" in engine.fleet().servers[0].message
        await refused(engine, NoModel)
        server.behaviour.change({"models": [MODEL]})
        await until_free(engine, MODEL, 1)


async def test_what_is_not_ollama_is_told() -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(hello, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
    async with other, ollama_engine(address) as engine:
        await until(engine, lambda: "is not Ollama" in engine.fleet().servers[0].message)


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (404, "model 'x' not found", ModelNotFound),
        (503, "server busy, please try again.  maximum pending requests exceeded", ServerBusy),
        (429, "", ServerBusy),
        (500, "model requires more system memory (9 GiB) than is available (3 GiB)", OutOfMemory),
        (500, "ggml_cuda_host_malloc: cudaMalloc failed", OutOfMemory),
        (500, "llama runner process has terminated: signal: killed", StreamCut),
        (400, "the prompt is longer than the context length", TooLong),
        (400, "the input length exceeds the context length", TooLong),
        (400, "x does not support tools", EngineError),
        (500, "", EngineError),
    ],
)
def test_what_ollama_says_is_understood(status: int, text: str, error: type[EngineError]) -> None:
    assert type(faults.from_status(status, text, "x", "host:1")) is error


def test_what_ollama_says_is_told_on_one_line_and_not_at_length() -> None:
    message = faults.from_status(500, "odd\n" * 1000, "x", "host:1").message
    assert "\n" not in message
    assert len(message) < 400
