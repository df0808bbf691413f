"""Runs over HTTP: what they say to any number of readers, how one resumes, and how they are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tests import homes
from tests.api.caller import PATIENCE_S, Caller, Frame, text_of, until
from tests.api.conftest import Home, Homes

from kira.adapters.engine.scripted import ScriptedEngine
from kira.domain.events import ATTEMPT_STRIDE
from kira.testing.serving import Plan, held_engine


async def asked(caller: Caller, content: str = "What is a slot?") -> tuple[str, str]:
    """Begin a conversation with a question; return the ids of the conversation and of the run."""
    conversation_id = await caller.begin()
    return conversation_id, (await caller.send(conversation_id, content))["run"]["id"]


def events(run_id: str) -> str:
    return f"/api/runs/{run_id}/events"


async def test_numbers_rise_without_a_gap_and_the_joined_deltas_are_the_answer(home: Home) -> None:
    conversation_id, run_id = await asked(home.bob)
    frames = await home.bob.follow(events(run_id))
    question, answer = await home.bob.messages(conversation_id)
    kinds, numbers = [frame.kind for frame in frames], [frame.id or 0 for frame in frames]
    # Where several processes speak of a run, whoever works on it numbers from a place of its own on.
    begins = kinds.index("started") if homes.is_aws() else 0
    assert numbers[begins:] == list(range(numbers[begins], numbers[begins] + len(numbers) - begins))
    assert (numbers[0], numbers) == (1, sorted(set(numbers)))
    assert (kinds[0], kinds[-1], kinds.count("started"), kinds.count("done")) == ("queued", "done", 1, 1)
    assert set(kinds[kinds.index("started") + 1 : -1]) == {"delta"}
    assert text_of(frames) == answer["content"]
    assert frames[-1].data == {"message_id": answer["id"], "usage": answer["usage"]}
    assert frames[kinds.index("started")].data == {"model": "demo", "message_id": question["id"]}
    run = (await home.bob.get(f"/api/runs/{run_id}")).json
    assert (run["state"], run["answer_id"], run["usage"]) == ("done", answer["id"], answer["usage"])


async def test_whoever_resumes_at_any_event_reads_the_same_text(home: Home) -> None:
    _, run_id = await asked(home.bob)
    frames = await home.bob.follow(events(run_id))
    assert len(frames) > 3
    for read, last in enumerate([0, *(frame.id for frame in frames)]):
        assert await home.bob.follow(events(run_id), last) == frames[read:]


async def test_whoever_reconnects_after_every_event_of_a_running_answer_misses_nothing(home_of: Homes) -> None:
    async with home_of(Plan(ScriptedEngine(words_per_second=300))) as home:
        _, run_id = await asked(home.bob)
        told: list[Frame] = []
        whole = asyncio.create_task(home.bob.follow(events(run_id)))
        async with asyncio.timeout(PATIENCE_S):
            while not told or told[-1].kind != "done":
                async with home.bob.stream(events(run_id), last=told[-1].id if told else 0) as frames:
                    told.append(await anext(frames))
        assert told == await whole
        assert sum(frame.kind == "delta" for frame in told) > 3


async def test_readers_read_the_same_and_a_number_that_was_never_sent_means_from_the_start(home: Home) -> None:
    _, run_id = await asked(home.bob)
    readers = [home.bob.follow(events(run_id), last) for last in (None, None, 0, "", "abc", "-1", "9" * 40, "½")]
    first, *others = await asyncio.gather(*readers)
    assert first[-1].kind == "done"
    assert all(other == first for other in others)


async def test_a_reader_who_leaves_stops_nothing(home_of: Homes) -> None:
    async with home_of(Plan(ScriptedEngine(words_per_second=300))) as home:
        _, run_id = await asked(home.bob)
        async with home.bob.stream(events(run_id)) as frames:
            await until(frames, "started")
        assert (await home.bob.ended(run_id))["state"] == "done"
        if not homes.is_aws():  # a seat is in the process of a stream
            assert home.served.kira.seats.total == 0


async def test_a_waiting_run_is_cancelled_before_it_begins(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        _, first = await asked(home.bob)
        async with home.bob.stream(events(first)) as frames:
            await until(frames, "delta")
        conversation_id, second = await asked(home.bob)
        answer = await home.bob.post(f"/api/runs/{second}/cancel")
        assert (answer.status, answer.json["run"]["state"]) == (202, "cancelled")
        frames_told = await home.bob.follow(events(second))
        assert (frames_told[-1].kind, text_of(frames_told)) == ("cancelled", "")
        listed = (await home.bob.get(f"/api/conversations/{conversation_id}/messages")).json
        assert [message["role"] for message in listed["items"]] == ["user"]
        assert [(run["id"], run["state"]) for run in listed["runs"]] == [(second, "cancelled")]


async def test_a_running_run_is_cancelled_its_text_kept_and_its_slot_given_on(home_of: Homes) -> None:
    async with home_of(Plan(held_engine())) as home:
        conversation_id, first = await asked(home.bob)
        _, second = await asked(home.alice)
        async with home.bob.stream(events(first)) as frames, home.bob.stream(events(first)) as others:
            said = await until(frames, "delta")
            assert (await home.bob.post(f"/api/runs/{first}/cancel")).status == 202
            told = [await until(each, "cancelled") for each in (frames, others)]
        async with home.alice.stream(events(second)) as frames:
            await until(frames, "started")
        _, answer = await home.bob.messages(conversation_id)
        assert (answer["content"], answer["cancelled"]) == (said.data["text"], True)
        assert [frame.data["message_id"] for frame in told] == [answer["id"]] * 2
        run = (await home.bob.get(f"/api/runs/{first}")).json
        assert (run["state"], run["answer_id"]) == ("cancelled", answer["id"])


async def test_an_ended_run_cannot_be_cancelled(home: Home) -> None:
    conversation_id, run_id = await asked(home.bob)
    before = await home.bob.ended(run_id)
    answer = await home.bob.post(f"/api/runs/{run_id}/cancel")
    assert (answer.status, answer.json) == (202, {"run": before})
    assert [message["cancelled"] for message in await home.bob.messages(conversation_id)] == [False, False]


async def test_a_run_that_ended_in_an_earlier_process_is_told_from_the_database(home_of: Homes) -> None:
    async with home_of() as home:
        conversation_id, run_id = await asked(home.bob)
        earlier = await home.bob.follow(events(run_id))
    async with home_of(again=True) as home:
        fresh = await home.bob.follow(events(run_id))
        resumed = await home.bob.follow(events(run_id), last=5)
        answer = (await home.bob.messages(conversation_id))[-1]
    assert [frame.kind for frame in fresh] == ["delta", "done"]
    assert [frame.kind for frame in resumed] == ["restart", "delta", "done"]
    assert text_of(fresh) == text_of(earlier[:5] + resumed) == answer["content"]
    assert fresh[-1].data == resumed[-1].data == earlier[-1].data
    for frames in (fresh, resumed):
        numbers = [frame.id or 0 for frame in frames]
        assert numbers == sorted(set(numbers))
        assert numbers[0] > max(ATTEMPT_STRIDE, earlier[-1].id or 0)


async def test_a_failure_is_told_with_its_reason_then_and_later(home_of: Homes) -> None:
    async with home_of() as home:
        assert (await home.bob.patch("/api/settings", {"model": "gone:latest"})).status == 200
        conversation_id, run_id = await asked(home.bob)
        last = (await home.bob.follow(events(run_id)))[-1]
        assert (last.kind, last.data["code"]) == ("failed", "MODEL_NOT_FOUND")
        run = (await home.bob.get(f"/api/runs/{run_id}")).json
        assert (run["state"], run["error"]) == ("failed", last.data)
    async with home_of(again=True) as home:
        assert [(frame.kind, frame.data) for frame in await home.bob.follow(events(run_id))] == [("failed", last.data)]
        listed = (await home.bob.get(f"/api/conversations/{conversation_id}/messages")).json
        assert [run["error"] for run in listed["runs"]] == [last.data]


async def test_a_user_with_nothing_going_is_idle_at_once(home: Home) -> None:
    assert await home.bob.follow("/api/events") == [Frame(None, "idle", {})]


async def test_one_stream_tells_all_of_the_users_runs_and_no_others(home_of: Homes) -> None:
    async with home_of(Plan(held_engine(slots=4))) as home:
        _, foreign = await asked(home.alice)
        mine = [await asked(home.bob)]
        async with home.bob.stream("/api/events") as stream:
            mine += [await asked(home.bob, f"Question {number}") for number in range(2)]
            frames = await _until_all_said(stream, runs=3)
            for _, run_id in mine:
                await home.bob.post(f"/api/runs/{run_id}/cancel")
            frames += [frame async for frame in stream]
        assert frames[-1] == Frame(None, "idle", {})
        assert {frame.data["run_id"] for frame in frames[:-1]} == {run_id for _, run_id in mine}
        for conversation_id, run_id in mine:
            own = [frame for frame in frames if frame.data.get("run_id") == run_id]
            assert {(frame.data["conversation_id"], frame.data["kind"]) for frame in own} == {
                (conversation_id, "reply")
            }
            assert own[-1].kind == "cancelled"
            assert text_of(own) == (await home.bob.messages(conversation_id))[-1]["content"]
        assert (await home.alice.get(f"/api/runs/{foreign}")).json["state"] == "running"


async def test_whoever_comes_later_is_told_everything_active_from_its_start(home_of: Homes) -> None:
    async with home_of(Plan(held_engine(slots=2))) as home:
        _, run_id = await asked(home.bob)
        async with home.bob.stream(events(run_id)) as frames:
            said = await until(frames, "delta")
        async with home.bob.stream("/api/events") as frames:
            assert (await anext(frames)).kind == "restart"
            assert (await until(frames, "started")).data["message_id"]
            assert (await until(frames, "delta")).data["text"] == said.data["text"]
            _, other = await asked(home.bob)
            assert (await until(frames, "queued")).data["run_id"] == other
            for each in (run_id, other):
                await home.bob.post(f"/api/runs/{each}/cancel")
            await until(frames, "idle")


async def test_the_users_stream_resumes_at_any_event(home_of: Homes) -> None:
    async with home_of(Plan(held_engine(slots=2))) as home:
        _, first = await asked(home.bob)
        async with home.bob.stream("/api/events") as stream:
            await until(stream, "delta")
            _, second = await asked(home.bob)
            frames = await _until_all_said(stream, runs=1)
            for run_id in (first, second):
                await home.bob.post(f"/api/runs/{run_id}/cancel")
            frames += [frame async for frame in stream]
        numbers = [frame.id or 0 for frame in frames[:-1]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        for at in range(len(numbers) - 1):
            assert await home.bob.follow("/api/events", last=numbers[at]) == frames[at + 1 :]


async def test_a_run_that_ended_elsewhere_unheard_is_not_told_as_active(home_of: Homes) -> None:
    async with home_of(Plan(works=False)) as home:
        (_, over), (_, waits) = await asked(home.bob), await asked(home.bob)
        database = home.served.kira.world.database
        user = (await home.bob.get("/api/auth/me")).json["id"]
        await database.of(user).execute("runs.cancel", {"run_id": over, "now": 1})
        async with home.bob.stream("/api/events") as frames:
            told = [await anext(frames), await anext(frames)]
            assert [(frame.kind, frame.data["run_id"]) for frame in told] == [("restart", waits), ("queued", waits)]
            await home.bob.post(f"/api/runs/{waits}/cancel")
            assert [frame.kind async for frame in frames] == ["cancelled", "idle"]


async def _until_all_said(stream: AsyncIterator[Frame], runs: int) -> list[Frame]:
    """Read until so many runs have said their first word."""
    frames: list[Frame] = []
    async with asyncio.timeout(PATIENCE_S):
        while sum(frame.kind == "delta" for frame in frames) < runs:
            frames.append(await anext(stream))
    return frames
