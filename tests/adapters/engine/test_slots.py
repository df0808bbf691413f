"""Slots are found out exactly, idle or under load; runs never wait at the server, and free slots are used."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from kira.adapters.engine.ollama.probing import PROBE
from kira.ports.engine import Engine
from kira.testing.asking import (
    answer,
    answer_all,
    end_of,
    first_text,
    free,
    ollama_engine,
    prompt_of,
    until,
    until_free,
)
from kira.testing.model_server import FakeModel, ModelServer

MODEL = "test:latest"
QUICK: dict[str, Any] = {"rate": 500.0, "first": 0.01, "tokens": 60}


@dataclass
class Remembered:
    """Keeps findings as the table does."""

    found: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)

    async def load(self, server: str, model: str, version: str) -> int | None:
        known, slots = self.found.get((server, model), ("", 0))
        return slots if known == version else None

    async def save(self, server: str, model: str, version: str, slots: int) -> None:
        self.found[(server, model)] = (version, slots)


def runs_that_waited(server: ModelServer) -> list[str]:
    """Return the questions of runs that had to wait for a slot at the server."""
    return [who for who in server.stats.waited if who != PROBE]


def probes(server: ModelServer) -> int:
    """Return how many probes the server was sent."""
    return sum(body["messages"][-1:] == [{"role": "user", "content": PROBE}] for body in server.stats.asked)


def is_found(engine: Engine) -> bool:
    """Say whether the engine knows how many answers go at once."""
    return "at a time" in engine.fleet().servers[0].message


async def found_after_one(engine: Engine, question: str = "a b c") -> int:
    """Ask once and return how many slots are believed when the search is over."""
    await until(engine, lambda: free(engine, MODEL))
    await answer(engine, prompt_of(MODEL, question))
    await until(engine, lambda: is_found(engine) and free(engine, MODEL))
    return free(engine, MODEL)


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 15, 16])
async def test_the_slots_of_an_idle_server_are_found(slots: int) -> None:
    async with ModelServer(slots=slots, **QUICK) as server, ollama_engine(server.address) as engine:
        assert await found_after_one(engine) == slots
        assert engine.fleet().slots == slots
        assert runs_that_waited(server) == []


@pytest.mark.parametrize("slots", [1, 3, 8])
@pytest.mark.parametrize(
    "pace",
    [
        {"first": 0.0, "rate": 1000.0, "tokens": 40},
        {"first": 0.05, "rate": 500.0, "tokens": 100},
        {"first": 0.03, "rate": 200.0, "tokens": 12},
        {"first": 0.0, "rate": 500.0, "tokens": 3},
        {"first": 0.02, "rate": 500.0, "tokens": 50, "load": 0.1},
    ],
    ids=["at once", "slow to begin", "short", "tiny", "loading"],
)
async def test_slots_are_found_under_load_and_never_overfilled(slots: int, pace: dict[str, Any]) -> None:
    questions = [f"question{at} is this" for at in range(6 * slots)]
    async with ModelServer(slots=slots, **pace) as server, ollama_engine(server.address) as engine:
        await until_free(engine, MODEL, 1)
        answers = await answer_all(engine, MODEL, questions)
        assert [text.split()[0] for text in answers] == [question.split()[0] for question in questions]
        assert runs_that_waited(server) == []
        assert await found_after_one(engine) == slots
        assert server.stats.running_max == slots


@pytest.mark.parametrize("slots", [1, 4])
async def test_no_slot_stands_empty_while_runs_wait(slots: int) -> None:
    async with ModelServer(slots=slots, **QUICK) as server, ollama_engine(server.address) as engine:
        await found_after_one(engine)
        server.stats.reset()
        waiting = [f"question{at}" for at in range(8 * slots)]
        running: set[asyncio.Task[Any]] = set()
        while waiting:
            while waiting and free(engine, MODEL):
                running.add(asyncio.create_task(answer(engine, prompt_of(MODEL, waiting.pop()))))
                await asyncio.sleep(0)
            assert not waiting or engine.fleet().servers[0].running == slots
            await engine.changed()
        await asyncio.gather(*running)
        assert server.stats.running_max == slots
        assert not server.stats.waited


async def test_a_server_that_is_known_is_not_probed_again() -> None:
    async with ModelServer(slots=3, **QUICK) as server, ollama_engine(server.address) as engine:
        await found_after_one(engine)
        server.stats.reset()
        await answer_all(engine, MODEL, ["a", "b", "c", "d"])
        assert probes(server) == 0


async def test_all_probes_are_gone_after_the_decision() -> None:
    async with ModelServer(slots=3, **QUICK) as server, ollama_engine(server.address) as engine:
        await found_after_one(engine)
        assert (server.stats.running, server.stats.waiting) == (0, 0)
        assert probes(server) > 0


@pytest.mark.parametrize(("slots", "bound", "found"), [(8, 2, 2), (3, 8, 3), (24, 20, 20), (4, 1, 1)])
async def test_a_setting_is_an_upper_bound(slots: int, bound: int, found: int) -> None:
    async with ModelServer(slots=slots, **QUICK) as server, ollama_engine(server.address, slots=bound) as engine:
        await until_free(engine, MODEL, 1)
        await answer_all(engine, MODEL, [f"q{at}" for at in range(3 * bound)])
        assert await found_after_one(engine) == found
        assert server.stats.running_max <= bound


@pytest.mark.parametrize(("stated", "bound", "found"), [(4, None, 4), (4, 2, 2)])
async def test_what_is_stated_on_this_host_is_believed(stated: int, bound: int | None, found: int) -> None:
    async with (
        ModelServer(slots=4, **QUICK) as server,
        ollama_engine(server.address, num_parallel=stated, slots=bound) as engine,
    ):
        await until_free(engine, MODEL, found)
        await answer_all(engine, MODEL, [f"q{at}" for at in range(8)])
        assert probes(server) == 0
        assert server.stats.running_max == found


async def test_some_families_are_never_probed() -> None:
    models = (FakeModel(MODEL, family="qwen3next"),)
    async with ModelServer(slots=4, models=models, **QUICK) as server, ollama_engine(server.address) as engine:
        assert await found_after_one(engine) == 1
        assert probes(server) == 0


async def test_a_model_partly_outside_the_card_has_one_slot_and_says_so() -> None:
    async with ModelServer(slots=4, gpu_share=0.6, **QUICK) as server, ollama_engine(server.address) as engine:
        await until_free(engine, MODEL, 1)
        await answer(engine, prompt_of(MODEL, "a"))
        await until_free(engine, MODEL, 1)
        assert "40% of it runs on the processor" in engine.fleet().servers[0].message
        assert engine.fleet().slots == 1


async def test_a_server_without_a_card_has_the_slots_it_has() -> None:
    async with ModelServer(slots=3, gpu_share=0.0, **QUICK) as server, ollama_engine(server.address) as engine:
        assert await found_after_one(engine) == 3


async def test_findings_are_remembered_and_shorten_the_search() -> None:
    memory = Remembered()
    async with ModelServer(slots=8, **QUICK) as server:
        async with ollama_engine(server.address, findings=memory) as engine:
            assert await found_after_one(engine) == 8
        searched = probes(server)
        assert [slots for _, slots in memory.found.values()] == [8]
        server.stats.reset()
        async with ollama_engine(server.address, findings=memory) as engine:
            assert await found_after_one(engine) == 8
        assert 0 < probes(server) < searched


@pytest.mark.parametrize(("before", "now"), [(8, 3), (3, 8), (8, 1), (1, 4)])
async def test_what_was_remembered_is_checked_before_it_is_relied_on(before: int, now: int) -> None:
    memory = Remembered()
    async with ModelServer(slots=before, **QUICK) as server:
        async with ollama_engine(server.address, findings=memory) as engine:
            assert await found_after_one(engine) == before
        await server.stop()
        server.behaviour.slots = now
        await server.start()
        server.stats.reset()
        async with ollama_engine(server.address, findings=memory) as engine:
            await until_free(engine, MODEL, 1)
            await answer_all(engine, MODEL, [f"q{at}" for at in range(3 * now)])
            assert await found_after_one(engine) == now
        assert runs_that_waited(server) == []


@pytest.mark.parametrize("change", ["restart", "version", "digest"])
async def test_slots_are_found_again_when_the_server_or_the_model_changed(change: str) -> None:
    async with ModelServer(slots=8, **QUICK) as server, ollama_engine(server.address, look=0.02) as engine:
        assert await found_after_one(engine) == 8
        server.behaviour.slots = 3
        if change == "restart":
            await server.stop()
            await until(engine, lambda: engine.fleet().servers[0].state == "down")
            await server.start()
        elif change == "version":
            server.behaviour.version = "9.9.9"
            server.host.unload()
        else:
            server.behaviour.models = (FakeModel(MODEL, size=1_000_000_000),)
            server.host.unload()
        await until(engine, lambda: free(engine, MODEL) == 1)
        server.stats.reset()
        await answer_all(engine, MODEL, [f"q{at}" for at in range(9)])
        assert await found_after_one(engine) == 3
        assert runs_that_waited(server) == []


async def test_a_search_that_is_cut_off_leaves_one_slot_and_begins_again() -> None:
    async with (
        ModelServer(slots=4, rate=100, first=0.02, tokens=100) as server,
        ollama_engine(server.address) as engine,
    ):
        await until_free(engine, MODEL, 1)
        async with aclosing(engine.reply(prompt_of(MODEL, "a"))) as pieces:
            await first_text(pieces)
            await server.stop()
        await server.start()
        await until(engine, lambda: free(engine, MODEL))
        server.behaviour.rate = 500
        assert await found_after_one(engine) == 4


async def test_all_requests_have_the_same_runner_options() -> None:
    async with (
        ModelServer(slots=4, load=0.02, **QUICK) as server,
        ollama_engine(server.address, context=2048) as engine,
    ):
        await found_after_one(engine)
        await answer(engine, prompt_of(MODEL, "a", tokens_max=7, think=False))
        assert server.stats.options == ['{"num_batch": 512, "num_ctx": 2048}']
        assert server.stats.loads == 1


async def test_a_run_that_is_cancelled_frees_its_slot_at_the_server() -> None:
    async with ModelServer(slots=1, rate=20, first=0.0) as server, ollama_engine(server.address, slots=1) as engine:
        await until_free(engine, MODEL, 1)
        async with aclosing(engine.reply(prompt_of(MODEL, "a"))) as pieces:
            await first_text(pieces)
            assert server.stats.running == 1
        async with asyncio.timeout(1):
            while server.stats.running:
                await asyncio.sleep(0.001)
        assert server.stats.cancelled == 1
        server.behaviour.rate = 500
        assert end_of(await answer(engine, prompt_of(MODEL, "b"))).reason == "stop"


async def test_runs_leave_no_connections_behind() -> None:
    async with ModelServer(slots=2, **QUICK) as server, ollama_engine(server.address, num_parallel=2) as engine:
        await until_free(engine, MODEL, 2)
        for at in range(20):
            await answer(engine, prompt_of(MODEL, f"q{at}", tokens_max=2))
        for at in range(20):
            async with aclosing(engine.reply(prompt_of(MODEL, f"q{at}"))) as pieces:
                await first_text(pieces)
        async with asyncio.timeout(1):
            while server.stats.running:
                await asyncio.sleep(0.001)
        assert server.connections <= 3
