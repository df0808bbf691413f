"""The test model server speaks Ollama's protocol as Ollama's own client understands it, and counts truly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import ollama
import pytest

from kira.testing.model_server import FakeModel, Fault, ModelServer

THINKER = FakeModel("thinker:8b", family="qwen3", capabilities=("completion", "thinking"))
EMBEDDER = FakeModel("embedder:latest", family="nomic-bert", capabilities=("embedding",))


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    models = (FakeModel("test:latest"), THINKER, EMBEDDER)
    async with ModelServer(slots=2, rate=500, first=0.005, tokens=20, models=models) as opened:
        yield opened


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(server.address) as opened:
        yield opened


def said(text: str) -> list[dict[str, str]]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


async def chat(client: ollama.AsyncClient, text: str, **more: Any) -> list[ollama.ChatResponse]:
    """Return the parts of a streamed answer."""
    return [part async for part in await client.chat(**{"model": "test", **more}, messages=said(text), stream=True)]


async def until(server: ModelServer, running: int, waiting: int) -> None:
    """Return when so many answers run and wait."""
    async with asyncio.timeout(10):
        while (server.stats.running, server.stats.waiting) != (running, waiting):
            await asyncio.sleep(0.001)


async def until_idle(server: ModelServer) -> None:
    """Return when no answer runs or waits."""
    async with asyncio.timeout(5):
        while server.stats.running or server.stats.waiting:
            await asyncio.sleep(0.001)


async def test_a_chat_streams_words_of_the_question_and_ends_with_counts(client: ollama.AsyncClient) -> None:
    parts = await chat(client, "red green blue")
    assert "".join(part.message.content or "" for part in parts[:4]) == "red green blue red"
    last = parts[-1]
    assert (last.done, last.done_reason, last.eval_count, last.message.content) == (True, "stop", 20, "")
    assert last.prompt_eval_count
    assert last.total_duration
    assert not any(part.done for part in parts[:-1])


@pytest.mark.parametrize(
    "text", ["# Title\n\n- one\n- two\n", "<img src=x onerror=alert(1)>", "  spaces  kept ", "🙂 ü"]
)
async def test_say_answers_exactly_the_rest(client: ollama.AsyncClient, text: str) -> None:
    parts = await chat(client, f"say:{text}")
    assert "".join(part.message.content or "" for part in parts) == text


async def test_a_chat_without_streaming_is_one_answer(client: ollama.AsyncClient) -> None:
    whole = await client.chat("test:latest", said("red green"))
    assert whole.done
    assert (whole.message.content or "").startswith("red green red")


async def test_num_predict_cuts(client: ollama.AsyncClient) -> None:
    last = (await chat(client, "red", options={"num_predict": 3}))[-1]
    assert (last.done_reason, last.eval_count) == ("length", 3)


async def test_a_model_that_thinks_thinks_first_unless_told_not_to(client: ollama.AsyncClient) -> None:
    parts = await chat(client, "red", model="thinker:8b", think=True)
    thought = [bool(part.message.thinking) for part in parts if not part.done]
    assert thought == sorted(thought, reverse=True)
    assert "".join(part.message.thinking or "" for part in parts) == "Let me think about it."
    parts = await chat(client, "red", model="thinker:8b", think=False)
    assert not any(part.message.thinking for part in parts)


async def test_a_tool_can_be_asked_for(client: ollama.AsyncClient) -> None:
    parts = await chat(client, 'tool:weather {"city": "Bern"}')
    (call,) = [call for part in parts for call in part.message.tool_calls or ()]
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Bern"})


async def test_generate_answers_a_prompt(client: ollama.AsyncClient) -> None:
    whole = await client.generate("test", "red green")
    assert (whole.response or "").startswith("red green")
    parts = [part.response or "" async for part in await client.generate("test", "red green", stream=True)]
    assert "".join(parts) == whole.response


async def test_models_are_listed_shown_and_told_when_loaded(client: ollama.AsyncClient) -> None:
    assert [model.model for model in (await client.list()).models] == ["test:latest", "thinker:8b", "embedder:latest"]
    assert (await client.ps()).models == []
    await chat(client, "red")
    (loaded,) = (await client.ps()).models
    assert (loaded.model, loaded.context_length, loaded.size_vram) == ("test:latest", 8192, loaded.size)
    shown = await client.show("test")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.block_count"] == 28


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [("500", 500, "terminated"), ("busy", 503, "maximum pending"), ("memory", 500, "requires more system memory")],
)
async def test_refusals_come_in_ollamas_shape(
    server: ModelServer, client: ollama.AsyncClient, kind: Any, status: int, text: str
) -> None:
    server.fault = Fault(kind)
    with pytest.raises(ollama.ResponseError, match=text) as refused:
        await chat(client, "red")
    assert refused.value.status_code == status


async def test_a_model_that_is_missing_is_a_404(client: ollama.AsyncClient) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'none' not found") as refused:
        await chat(client, "red", model="none")
    assert refused.value.status_code == 404


@pytest.mark.parametrize(
    ("model", "more"), [("test", {"think": True}), ("thinker:8b", {"tools": [{}]}), ("embedder", {})]
)
async def test_what_a_model_cannot_do_is_a_400(client: ollama.AsyncClient, model: str, more: dict[str, Any]) -> None:
    with pytest.raises(ollama.ResponseError, match="does not support") as refused:
        await chat(client, "red", model=model, **more)
    assert refused.value.status_code == 400


async def test_a_body_that_is_no_json_is_a_400(server: ModelServer) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{server.address}/api/chat", data=b"{") as response:
        assert response.status == 400
        assert "error" in await response.json()


async def test_an_error_line_comes_in_the_middle_of_a_200(server: ModelServer, client: ollama.AsyncClient) -> None:
    server.fault = Fault("error-line", after=2)
    parts = await client.chat("test", said("red green"), stream=True)
    assert [(await anext(parts)).message.content for _ in range(2)] == ["red", " green"]
    with pytest.raises(ollama.ResponseError, match="unexpected EOF"):
        await anext(parts)


@pytest.mark.parametrize("kind", ["cut", "down"])
async def test_a_connection_can_be_cut(server: ModelServer, client: ollama.AsyncClient, kind: Any) -> None:
    server.fault = Fault(kind)
    with pytest.raises(Exception, match=r"(?i)(peer closed|disconnected|connect)"):
        await chat(client, "red")


async def test_a_fault_can_end_after_some_answers(server: ModelServer, client: ollama.AsyncClient) -> None:
    server.fault = Fault("busy", times=1)
    with pytest.raises(ollama.ResponseError):
        await chat(client, "red")
    assert await chat(client, "red")


async def test_a_server_that_is_stopped_refuses_and_comes_back_with_nothing_loaded(
    server: ModelServer, client: ollama.AsyncClient
) -> None:
    await chat(client, "red")
    port = server.port
    await server.stop()
    with pytest.raises(ConnectionError):
        await client.chat("test", said("red"))
    await server.start()
    assert server.port == port
    assert (await client.ps()).models == []


async def test_answers_beyond_the_slots_wait_in_the_order_of_arrival(
    server: ModelServer, client: ollama.AsyncClient
) -> None:
    ended: list[str] = []

    async def ask(word: str) -> None:
        await chat(client, word)
        ended.append(word)

    server.behaviour.rate = 2  # nobody ends before all are there
    async with asyncio.TaskGroup() as group:
        for number, word in enumerate("abcdef", 1):
            group.create_task(ask(word))
            await until(server, min(number, 2), max(0, number - 2))
        server.behaviour.rate = 500
    assert ended == ["a", "b", "c", "d", "e", "f"]
    assert (server.stats.running_max, server.stats.waiting_max) == (2, 4)
    assert list(server.stats.waited) == ["c", "d", "e", "f"]


async def test_who_goes_away_frees_the_slot_whether_it_runs_or_waits(
    server: ModelServer, client: ollama.AsyncClient
) -> None:
    server.behaviour.rate = 5
    tasks = [asyncio.create_task(chat(client, word)) for word in ("a", "b", "c")]
    await until(server, 2, 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until_idle(server)
    assert server.stats.cancelled == 3
    server.behaviour.rate = 500
    assert len(await chat(client, "red")) == 21


async def test_other_runner_options_load_the_model_again(server: ModelServer, client: ollama.AsyncClient) -> None:
    for options in ({"num_batch": 512}, {"num_batch": 512, "num_predict": 3}, {"num_batch": 1024}):
        await chat(client, "red", options=options)
    assert server.stats.loads == 2
    assert len(server.stats.options) == 2


async def test_another_model_waits_until_the_loaded_one_is_idle(
    server: ModelServer, client: ollama.AsyncClient
) -> None:
    server.behaviour.rate = 2
    first = asyncio.create_task(chat(client, "red"))
    await until(server, 1, 0)
    second = asyncio.create_task(chat(client, "red", model="thinker:8b"))
    await until(server, 1, 1)
    server.behaviour.rate = 500
    await first
    await second
    assert [model.model for model in (await client.ps()).models] == ["thinker:8b"]


async def test_an_empty_conversation_only_loads(server: ModelServer, client: ollama.AsyncClient) -> None:
    whole = await client.chat("test", [])
    assert whole.done_reason == "load"
    assert [model.model for model in (await client.ps()).models] == ["test:latest"]
    assert server.stats.running_max == 0


async def test_it_is_steered_and_read_over_http(server: ModelServer, client: ollama.AsyncClient) -> None:
    async with aiohttp.ClientSession(server.address) as session:
        await session.post("/test/behaviour", json={"tokens": 4, "models": ["one", "two:3b"]})
        assert [model.model for model in (await client.list()).models] == ["one", "two:3b"]
        await chat(client, "red", model="one")
        await session.post("/test/fault", json={"kind": "busy"})
        with pytest.raises(ollama.ResponseError):
            await chat(client, "red", model="one")
        await session.post("/test/fault", json={"kind": None})
        async with session.get("/test/stats") as response:
            stats = await response.json()
        assert (stats["requests"], stats["answered"], stats["failed"], stats["tokens"]) == (2, 1, 1, 4)
        assert stats["busy_s"] > 0
        assert stats["empty_s"] > 0
        await session.post("/test/reset")
        assert server.stats.requests == 0


async def test_slots_stand_empty_only_between_the_first_and_the_last_answer(
    server: ModelServer, client: ollama.AsyncClient
) -> None:
    await asyncio.gather(chat(client, "a"), chat(client, "b"))
    busy, empty = server.stats.busy_s, server.stats.empty_s
    await asyncio.sleep(0.02)
    assert (server.stats.busy_s, server.stats.empty_s) == (busy, empty)
    assert empty < busy
