"""Model servers that fail: the run waits or goes again or ends with a reason and a remedy, and others go on."""

from __future__ import annotations

import asyncio

import pytest
from tests.jobs.rig import Home, said, text_of, until, whole

from kira.domain.limits import RUN_ATTEMPTS_MAX
from kira.testing.model_server import FakeModel, Fault, ModelServer


async def test_a_stream_that_is_cut_begins_again_and_ends_whole(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.warm()
        server.fault = Fault("cut", after=5, times=1)
        run = await home.ask("red green blue")
        told = await home.told(run)
    kinds = [kind for kind, _ in told]
    assert kinds.index("delta") < kinds.index("reason") < kinds.index("restart") < kinds.index("done")
    assert "stopped in the middle" in said(told, "reason")[0]["text"]
    assert home.answers(run) == [text_of(told)] == [whole("red green blue", 30)]
    assert home.rows("SELECT attempt, failures FROM runs WHERE id = ?", run) == [(2, 1)]


async def test_a_stream_that_is_always_cut_fails_with_the_last_reason(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.warm()
        server.fault = Fault("cut", after=2, times=RUN_ATTEMPTS_MAX)
        run = await home.ask("never whole")
        kind, data = (await home.told(run))[-1]
        assert (kind, data["code"]) == ("failed", "GAVE_UP")
        assert "stopped in the middle" in data["message"]
        assert text_of(await home.told(await home.ask("say:fine"))) == "fine"
    assert home.answers(run) == []
    assert home.rows("SELECT state, attempt FROM runs WHERE id = ?", run) == [("failed", RUN_ATTEMPTS_MAX)]


async def test_a_run_waits_for_a_server_that_is_down_and_goes_when_it_is_back(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.warm()
        await server.stop()
        run = await home.ask("after the break")
        await home.until_said(run, "reason", "ollama serve")
        assert home.state(run) in ("queued", "running")
        await server.start()
        told = await home.told(run)
    kinds = [kind for kind, _ in told]
    begun = kinds.index("started")
    assert kinds[begun : begun + 3] == ["started", "queued", "reason"]
    assert kinds[-1 - kinds[::-1].index("started") - 1] == "restart"
    assert home.answers(run) == [text_of(told)] == [whole("after the break", 30)]
    assert home.rows("SELECT failures FROM runs WHERE id = ?", run) == [(0,)]


async def test_how_long_a_server_stays_away_is_not_guessed(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.warm()
        await server.stop()
        await home.ask("finds out")
        await until(lambda: home.line.is_held)
        run = await home.ask("after the break")
        waiting = await home.kira.runs.one(await home.visit(), run)
        assert (waiting.position is not None, waiting.wait_s) == (True, None)
        await server.start()
        told = await home.told(run)
        await until(lambda: not home.line.is_held)
    assert said(told, "queued")[0]["wait_s"] is None
    assert text_of(told) == whole("after the break", 30)


async def test_a_server_that_is_killed_in_the_middle_and_comes_back(home: Home, server: ModelServer) -> None:
    server.behaviour.rate, server.behaviour.tokens = 100, 60
    async with home.working(server.address):
        runs = [await home.ask("first"), await home.ask("second")]
        for run in runs:
            await home.until_said(run, "delta")
        await server.restart(0.3)
        for run, question in zip(runs, ("first", "second"), strict=True):
            told = await home.told(run)
            assert said(told, "restart")
            assert home.answers(run) == [text_of(told)] == [whole(question, 60)]


async def test_a_model_that_a_server_lost_fails_with_the_remedy(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.warm()
        server.fault = Fault("missing")
        told = await home.told(await home.ask("where is it"))
    assert told[-1][0] == "failed"
    assert told[-1][1]["code"] == "MODEL_NOT_FOUND"
    assert "ollama pull test:latest" in told[-1][1]["message"]


async def test_waiting_runs_of_a_model_that_is_removed_fail_with_the_remedy(home: Home, server: ModelServer) -> None:
    server.behaviour.rate, server.behaviour.tokens = 50, 10_000
    async with home.working(server.address, slots=1, look=0.1):
        going, waiting = await home.ask("goes on"), await home.ask("waits")
        await home.until_said(going, "delta")
        server.behaviour.models = (FakeModel("another:latest"),)
        kind, data = (await home.told(waiting))[-1]
        assert (kind, data["code"]) == ("failed", "MODEL_NOT_FOUND")
        assert "ollama pull test:latest" in data["message"]
        await home.cancel(going)
        await home.told(going)


async def test_out_of_memory_fails_with_the_remedy_and_the_next_goes_on(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.warm()
        server.fault = Fault("memory", times=1)
        kind, data = (await home.told(await home.ask("too big")))[-1]
        assert (kind, data["code"]) == ("failed", "MODEL_OUT_OF_MEMORY")
        assert "smaller model" in data["message"]
        assert text_of(await home.told(await home.ask("say:fits"))) == "fits"


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("CUDA error: out of memory", "MODEL_OUT_OF_MEMORY", "smaller model"),
        ("the sampler is not well", "MODEL_FAILED", "the sampler is not well"),
    ],
)
async def test_an_error_in_the_middle_of_an_answer_ends_it_with_the_reason(
    home: Home, server: ModelServer, text: str, code: str, part: str
) -> None:
    async with home.working(server.address):
        await home.warm()
        server.fault = Fault("error-line", after=4, times=1, text=text)
        run = await home.ask("red green")
        told = await home.told(run)
        assert told[-1][0] == "failed"
        assert told[-1][1]["code"] == code
        assert part in told[-1][1]["message"]
        assert text_of(await home.told(await home.ask("say:next"))) == "next"
    assert home.answers(run) == []


async def test_a_runner_that_crashes_in_the_middle_begins_again(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.warm()
        server.fault = Fault("error-line", after=4, times=1)
        run = await home.ask("red green")
        told = await home.told(run)
    assert said(told, "restart") == [{}]
    assert home.answers(run) == [text_of(told)] == [whole("red green", 30)]


@pytest.mark.parametrize("kind", ["500", "busy"])
async def test_a_refusal_is_tried_again(home: Home, server: ModelServer, kind: str) -> None:
    async with home.working(server.address):
        await home.warm()
        server.fault = Fault(kind, times=2)  # type: ignore[arg-type]  # one of the kinds
        run = await home.ask("red green")
        told = await home.told(run)
    assert home.answers(run) == [text_of(told)] == [whole("red green", 30)]


async def test_a_server_that_falls_silent_is_given_up_and_asked_again(home: Home, server: ModelServer) -> None:
    async with home.working(server.address, token_gap=0.2):
        await home.warm()
        server.fault = Fault("stall", after=4, times=1)
        run = await home.ask("red green")
        told = await home.told(run)
    assert "said nothing" in said(told, "reason")[0]["text"]
    assert home.answers(run) == [text_of(told)] == [whole("red green", 30)]
    await until(lambda: server.stats.running == 0)


async def test_a_server_that_never_begins_is_given_up_and_asked_again(home: Home, server: ModelServer) -> None:
    async with home.working(server.address, first_token=0.3):
        await home.warm()
        server.fault = Fault("stall", after=0, times=1)
        server.behaviour.first = 0.6
        run = await home.ask("red green")
        await home.until_said(run, "reason", "said nothing")
        server.behaviour.first = 0.005
        told = await home.told(run)
    assert home.answers(run) == [text_of(told)] == [whole("red green", 30)]


async def test_when_one_of_two_servers_dies_the_other_answers_everything(home: Home, server: ModelServer) -> None:
    server.behaviour.rate, server.behaviour.tokens = 100, 60
    async with (
        ModelServer(slots=2, rate=100, first=0.005, tokens=60) as other,
        home.working(server.address, other.address),
    ):
        runs = [await home.ask(f"number {at}") for at in range(8)]
        await until(lambda: server.stats.running and other.stats.running)
        await other.stop()
        for at, told in enumerate(await asyncio.gather(*map(home.told, runs))):
            assert told[-1][0] == "done"
            assert home.answers(runs[at]) == [text_of(told)] == [whole(f"number {at}", 60)]
        assert server.stats.running_max == 2


async def test_whoever_asks_more_than_the_model_can_read_is_told(home: Home, server: ModelServer) -> None:
    server.behaviour.context = 512
    async with home.working(server.address):
        conversation = await home.conversation("long")
        for at in range(3):
            await home.told(await home.ask(f"{at} " + "word " * 150, conversation=conversation))
        told = await home.told(await home.ask("And now?", conversation=conversation))
        assert "left out" in said(told, "reason")[0]["text"]
        assert told[-1][0] == "done"
        too_long = (await home.told(await home.ask("word " * 5_000)))[-1]
    asked = [each["messages"] for each in server.stats.asked if each["messages"]]
    assert asked[-1][-1]["content"] == "And now?"
    assert len(asked[-1]) < 7
    assert (too_long[0], too_long[1]["code"]) == ("failed", "TOO_LONG")
    assert "Shorten it" in too_long[1]["message"]
