"""The worker with a real model server: answers come once and whole, cancelling frees slots, stopping loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from tests.jobs.rig import QUICK, Home, said, text_of, titles, until, whole

from kira.adapters.engine.ollama import OllamaConfig, OllamaEngine
from kira.domain.limits import RUN_ATTEMPTS_MAX
from kira.ports.engine import Piece, Prompt
from kira.testing.model_server import ModelServer


async def test_an_answer_is_told_as_it_comes_and_stored_once(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        run = await home.ask("red green blue")
        told = await home.told(run)
    kinds = [kind for kind, _ in told]
    assert kinds.index("queued") < kinds.index("started") < kinds.index("delta") < kinds.index("done")
    assert text_of(told) == whole("red green blue", 30)
    assert home.answers(run) == [text_of(told)]
    assert said(told, "done")[0]["usage"]["completion_tokens"] == 30
    assert home.state(run) == "done"


async def test_a_run_has_begun_before_its_model_is_loaded(home: Home, server: ModelServer) -> None:
    server.behaviour.load = 0.05
    async with home.working(server.address):
        told = await home.told(await home.ask("say:at last"))
    kinds = [kind for kind, _ in told]
    begun = kinds.index("started")
    assert [data["text"] for _, data in told[begun + 1 : begun + 3]] == ["loading test", "reading your question"]
    assert kinds[begun + 1 : begun + 4] == ["reason", "reason", "delta"]


async def test_more_runs_than_slots_wait_and_all_are_answered(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        runs = [await home.ask(f"number {at}") for at in range(9)]
        for at, told in enumerate(await asyncio.gather(*map(home.told, runs))):
            assert text_of(told) == whole(f"number {at}", 30)
    assert server.stats.running_max == 2
    assert list(server.stats.waited) == []
    assert server.stats.answered == 9


async def test_a_run_that_is_cancelled_frees_its_slot_and_keeps_its_text(home: Home, server: ModelServer) -> None:
    server.behaviour.slots, server.behaviour.rate, server.behaviour.tokens = 1, 50, 10_000
    async with home.working(server.address, slots=1):
        first, second = await home.ask("endless words"), await home.ask("say:short")
        await home.until_said(first, "delta")
        assert home.state(second) == "queued"
        await home.cancel(first)
        assert (await home.told(first))[-1][0] == "cancelled"
        assert text_of(await home.told(second)) == "short"
    await until(lambda: server.stats.running == 0)
    assert (server.stats.cancelled, server.stats.running_max) == (1, 1)
    assert home.rows("SELECT cancelled FROM messages WHERE run_id = ? AND role = 'assistant'", first) == [(1,)]
    assert home.answers(first)[0].startswith("endless")


async def test_a_waiting_run_that_is_cancelled_asks_no_server(home: Home, server: ModelServer) -> None:
    server.behaviour.rate, server.behaviour.tokens = 50, 10_000
    async with home.working(server.address, slots=1):
        first, second = await home.ask("endless words"), await home.ask("never asked")
        await home.until_said(first, "delta")
        await home.cancel(second)
        assert (await home.told(second))[-1] == ("cancelled", {})
        await home.cancel(first)
        await home.told(first)
    assert [each["messages"][-1]["content"] for each in server.stats.asked if each["messages"]] == ["endless words"]
    assert home.answers(second) == []


async def test_a_worker_that_is_told_to_stop_finishes_what_goes(home: Home, server: ModelServer) -> None:
    server.behaviour.rate = 60
    async with home.working(server.address, slots=1) as worker:
        going, waiting = await home.ask("goes on"), await home.ask("waits")
        await home.until_said(going, "delta")
        worker.stop()
    assert home.state(going) == "done"
    assert home.state(waiting) == "queued"
    assert home.answers(going) == [whole("goes on", 30)]
    async with home.working(server.address):
        assert text_of(await home.told(waiting)) == whole("waits", 30)


async def test_what_does_not_end_within_the_grace_is_handed_back_and_answered_once(
    home: Home, server: ModelServer
) -> None:
    server.behaviour.rate, server.behaviour.tokens = 50, 400
    async with home.working(server.address, grace_s=0):
        runs = [await home.ask("one"), await home.ask("two")]
        for run in runs:
            await home.until_said(run, "delta")
    assert [home.state(run) for run in runs] == ["queued", "queued"]
    assert home.rows("SELECT DISTINCT failures, reason FROM runs") == [
        (0, "Kira is restarting; the answer begins again.")
    ]
    await until(lambda: server.stats.running == 0)
    server.behaviour.rate, server.behaviour.tokens = 500, 30
    async with home.working(server.address):
        for run, question in zip(runs, ("one", "two"), strict=True):
            told = await home.told(run)
            assert said(told, "restart") == [{}]
            assert home.answers(run) == [text_of(told)] == [whole(question, 30)]


async def test_who_waited_before_the_start_is_counted_at_once(home: Home) -> None:
    run = await home.ask("from before")
    restarted = Home(home.path, home.database, sessions=home.sessions)
    async with restarted.working(engine=Defective("http://127.0.0.1:9", times=0)):
        await until(lambda: restarted.line.waiting == 1)
    assert home.state(run) == "queued"


async def test_a_worker_that_lost_its_lease_writes_nothing(home: Home, server: ModelServer) -> None:
    """The computer slept: the lease expired, and the same worker receives the run that it still works on."""
    server.behaviour.rate, server.behaviour.tokens = 100, 60
    async with home.working(server.address) as worker:
        run = await home.ask("only once")
        await home.until_said(run, "delta")
        (lost,) = await home.queue.recover(lambda _: False)
        home.line.joined()
        assert lost.run_id == run
        told = await home.told(run)
        await until(lambda: worker.running == 0)
    assert [kind for kind, _ in told].count("done") == 1
    assert home.answers(run) == [text_of(told)] == [whole("only once", 60)]
    assert home.rows("SELECT state, attempt FROM runs WHERE id = ?", run) == [("done", 2)]


async def test_a_title_is_made_after_the_answer_and_never_before(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        conversation = await home.conversation()
        run = await home.ask("say:An answer about rivers", conversation=conversation)
        await home.told(run)
        (title,) = titles(home)
        told = await home.told(title)
    assert home.rows("SELECT title, titled_by FROM conversations WHERE id = ?", conversation) == [
        (said(told, "title")[0]["title"], "model")
    ]
    (ended,), (began,) = (
        home.rows("SELECT ended_at FROM runs WHERE id = ?", run)[0],
        home.rows("SELECT started_at FROM runs WHERE id = ?", title)[0],
    )
    assert ended <= began
    asked = [each["messages"][-1]["content"] for each in server.stats.asked if each["messages"]]
    assert asked[0] == "say:An answer about rivers"
    assert "title" in asked[1]


async def test_a_title_that_a_user_gave_meanwhile_stays_and_no_other_is_told(home: Home, server: ModelServer) -> None:
    server.behaviour.rate, server.behaviour.tokens = 50, 50
    async with home.working(server.address):
        conversation = await home.conversation()
        await home.told(await home.ask("say:An answer", conversation=conversation))
        (title,) = titles(home)
        await home.until_said(title, "started")
        await home.kira.conversations.change(await home.visit(), conversation, "Mine", None)
        told = await home.told(title)
    assert (said(told, "title"), told[-1][0]) == ([], "done")
    assert home.rows("SELECT title, titled_by FROM conversations WHERE id = ?", conversation) == [("Mine", "user")]


async def test_a_question_that_is_removed_while_it_waits_ends_its_run(home: Home, server: ModelServer) -> None:
    server.behaviour.rate, server.behaviour.tokens = 50, 10_000
    async with home.working(server.address, slots=1):
        first, run = await home.ask("endless words"), await home.ask("gone")
        await home.until_said(first, "delta")
        ((message,),) = home.rows("SELECT message_id FROM runs WHERE id = ?", run)
        await home.kira.conversations.remove_message(await home.visit(), message)
        await home.cancel(first)
        assert (await home.told(run))[-1][0] == "cancelled"
    assert home.state(run) == "cancelled"
    assert home.answers(run) == []


class Defective(OllamaEngine):
    """An engine with a defect: its first replies break in a way that no promise allows."""

    def __init__(self, address: str, times: int) -> None:
        """Break `times` times."""
        super().__init__(OllamaConfig((address,), num_parallel=1, **QUICK))  # type: ignore[arg-type]  # all are numbers
        self.times = times

    def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Break, or answer."""
        if self.times:
            self.times -= 1
            raise ZeroDivisionError
        return super().reply(prompt)


async def test_a_defect_ends_neither_the_worker_nor_the_run(home: Home, server: ModelServer) -> None:
    async with home.working(engine=Defective(server.address, times=1)) as worker:
        await until(worker.engine.room)
        run = await home.ask("in spite of it")
        told = await home.told(run)
    assert said(told, "restart") == [{}]
    assert home.answers(run) == [text_of(told)] == [whole("in spite of it", 30)]


async def test_a_defect_that_stays_ends_the_run_with_a_reason(home: Home, server: ModelServer) -> None:
    async with home.working(engine=Defective(server.address, times=RUN_ATTEMPTS_MAX)) as worker:
        await until(worker.engine.room)
        run = await home.ask("never")
        told = await home.told(run)
        assert told[-1][0] == "failed"
        assert told[-1][1]["code"] == "GAVE_UP"
        assert text_of(await home.told(await home.ask("say:others go on"))) == "others go on"
    assert home.state(run) == "failed"
