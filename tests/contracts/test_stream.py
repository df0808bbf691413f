"""Every stream keeps the Stream promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.streams import instances

from kira.domain.events import Event, first_number
from kira.ports.stream import Said, Source, Stream

RUN = Source("user-a", "run-1", "conversation-1", "reply")
OTHER = Source("user-a", "run-2", "conversation-2", "reply")
STRANGER = Source("user-b", "run-3", "conversation-3", "reply")
PATIENCE_S = 10
DONE: tuple[str, dict[str, Any]] = ("done", {"message_id": "m"})


@pytest.fixture(params=["process", "table", "redis"])
async def stream(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stream]:
    async with instances(request.param, tmp_path) as instance:
        yield instance()


def delta(text: str) -> tuple[str, dict[str, Any]]:
    return ("delta", {"text": text})


async def events_of(stream: Stream, source: Source, after: int = 0) -> list[Event]:
    """Read a run to its end."""
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in stream.follow(source.user_id, source.run_id, after):
            found += batch
    return found


async def some(batches: AsyncIterator[list[Said]], count: int) -> list[Said]:
    """Read at least `count` of a user's events."""
    found: list[Said] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in batches:
            found += batch
            if len(found) >= count:
                return found
    return found


async def begun(stream: Stream, user_id: str) -> AsyncIterator[list[Said]]:
    """Follow a user of whom nothing is to be told, from now on: the first batch comes at once."""
    batches = stream.follow_user(user_id, None)
    assert await anext(batches) == []
    return batches


async def test_a_reader_gets_everything_in_order_and_the_end(stream: Stream) -> None:
    await stream.append(RUN, 1, [("queued", {"position": 1})])
    await stream.append(RUN, 1, [delta("a"), delta("b")])
    await stream.append(RUN, 1, [DONE])
    found = await events_of(stream, RUN)
    assert [event.kind for event in found] == ["queued", "delta", "delta", "done"]
    assert [event.number for event in found] == [1, 2, 3, 4]
    assert found[1].data == {"text": "a"}


async def test_readers_that_come_early_late_and_in_the_middle_read_the_same(stream: Stream) -> None:
    early = asyncio.create_task(events_of(stream, RUN))
    await asyncio.sleep(0)
    await stream.append(RUN, 1, [delta("a")])
    middle = asyncio.create_task(events_of(stream, RUN))
    await asyncio.sleep(0)
    for text in "bcd":
        await stream.append(RUN, 1, [delta(text)])
        await asyncio.sleep(0)
    await stream.append(RUN, 1, [DONE])
    late = await events_of(stream, RUN)
    assert await early == await middle == late
    assert len(late) == 5


@pytest.mark.parametrize("after", range(6))
async def test_a_reader_can_go_on_after_any_event(stream: Stream, after: int) -> None:
    await stream.append(RUN, 1, [delta(text) for text in "abcd"])
    await stream.append(RUN, 1, [DONE])
    whole = await events_of(stream, RUN)
    assert await events_of(stream, RUN, after) == whole[after:]


async def test_numbers_rise_with_the_attempts_even_when_events_were_lost(stream: Stream) -> None:
    await stream.append(RUN, 1, [delta("a")])
    await stream.append(RUN, 3, [("restart", {}), delta("b"), DONE])
    numbers = [event.number for event in await events_of(stream, RUN)]
    assert numbers == [1, first_number(3), first_number(3) + 1, first_number(3) + 2]


async def test_nothing_follows_the_last_event(stream: Stream) -> None:
    await stream.append(RUN, 1, [DONE, delta("too late")])
    await stream.append(RUN, 2, [("failed", {})])
    assert [event.kind for event in await events_of(stream, RUN)] == ["done"]


async def test_a_reader_that_leaves_stops_nobody(stream: Stream) -> None:
    leaving = asyncio.create_task(events_of(stream, RUN))
    staying = asyncio.create_task(events_of(stream, RUN))
    await stream.append(RUN, 1, [delta("a")])
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await stream.append(RUN, 1, [delta("b"), DONE])
    assert [event.kind for event in await staying] == ["delta", "delta", "done"]


async def test_who_works_speaks_after_those_who_told_of_the_wait_and_before_a_later_attempt(stream: Stream) -> None:
    await stream.append(RUN, 1, [("queued", {"position": 1})])
    await stream.append(RUN, 1, [("started", {}), delta("a")], works=True)
    await stream.append(RUN, 2, [("queued", {"position": 1})])
    await stream.append(RUN, 1, [delta("late")], works=True)
    await stream.append(RUN, 2, [("restart", {}), delta("b"), DONE], works=True)
    found = await events_of(stream, RUN)
    assert [event.kind for event in found] == ["queued", "started", "delta", "queued", "restart", "delta", "done"]
    numbers = [event.number for event in found]
    assert numbers == sorted(set(numbers))
    assert numbers[2] < first_number(2) <= numbers[3]


async def test_it_says_which_runs_it_knows(stream: Stream) -> None:
    assert not await stream.knows(RUN.user_id, RUN.run_id)
    await stream.append(RUN, 1, [delta("a")])
    assert await stream.knows(RUN.user_id, RUN.run_id)
    assert not await stream.knows(STRANGER.user_id, RUN.run_id)


async def test_a_run_of_another_user_says_nothing(stream: Stream) -> None:
    await stream.append(RUN, 1, [delta("secret"), DONE])
    spying = asyncio.create_task(events_of(stream, Source(STRANGER.user_id, RUN.run_id, None, "reply")))
    everything = asyncio.create_task(some(await begun(stream, STRANGER.user_id), 1))
    await stream.append(STRANGER, 1, [delta("mine")])
    assert [said.event.data.get("text", "") for said in await everything if said.event.kind == "delta"] == ["mine"]
    assert not spying.done()
    spying.cancel()
    await asyncio.gather(spying, return_exceptions=True)


async def test_a_user_follows_all_runs_with_numbers_that_rise_over_all(stream: Stream) -> None:
    reading = asyncio.create_task(some(await begun(stream, RUN.user_id), 6))
    for text in "ab":
        await stream.append(RUN, 1, [delta(text)])
        await stream.append(STRANGER, 1, [delta("no")])
        await stream.append(OTHER, 1, [delta(text)])
    await stream.append(RUN, 1, [DONE])
    await stream.append(OTHER, 1, [DONE])
    found = await reading
    assert [said.source.run_id for said in found] == ["run-1", "run-2", "run-1", "run-2", "run-1", "run-2"]
    numbers = [said.number for said in found]
    assert numbers == sorted(set(numbers))


async def test_a_user_can_go_on_after_any_number(stream: Stream) -> None:
    reading = asyncio.create_task(some(await begun(stream, RUN.user_id), 4))
    await stream.append(RUN, 1, [delta(text) for text in "abcd"])
    whole = await reading
    for at in range(3):
        rest = await some(stream.follow_user(RUN.user_id, whole[at].number), 3 - at)
        assert rest == whole[at + 1 :]


async def test_who_comes_anew_is_told_where_a_run_stands_that_begins_again_without_its_earlier_text(
    stream: Stream,
) -> None:
    why = ("reason", {"text": "The server is down."})
    await stream.append(RUN, 1, [("started", {}), delta("lost"), ("queued", {"position": 1}), why])
    await stream.append(RUN, 2, [("restart", {}), ("started", {}), delta("kept")])
    found = await some(stream.follow_user(RUN.user_id, None), 6)
    assert [said.event.kind for said in found] == ["restart", "started", "queued", "reason", "started", "delta"]
    assert found[-1].event.data == {"text": "kept"}


async def test_who_comes_anew_is_told_what_was_thought_so_far(stream: Stream) -> None:
    thoughts = [("thinking", {"text": "Let"}), ("thinking", {"text": " me"})]
    await stream.append(RUN, 1, [("started", {}), *thoughts, delta("So")])
    found = await some(stream.follow_user(RUN.user_id, None), 4)
    assert [(said.event.kind, said.event.data.get("text")) for said in found] == [
        ("restart", None),
        ("started", None),
        ("thinking", "Let me"),
        ("delta", "So"),
    ]


@pytest.mark.parametrize("after", [None, 1])
async def test_who_comes_anew_or_too_late_is_told_active_runs_from_their_start(
    stream: Stream, after: int | None
) -> None:
    await stream.append(OTHER, 1, [delta("over"), DONE])
    await stream.append(RUN, 1, [("queued", {"position": 1}), ("started", {}), delta("lost")])
    await stream.append(RUN, 2, [("restart", {}), delta("one "), delta("two")])
    found = await some(stream.follow_user(RUN.user_id, after), 4)
    assert {said.source.run_id for said in found} == {RUN.run_id}
    assert [said.event.kind for said in found] == ["restart", "queued", "started", "delta"]
    assert found[-1].event.data == {"text": "one two"}
    reading = asyncio.create_task(some(stream.follow_user(RUN.user_id, found[-1].number), 1))
    await stream.append(RUN, 2, [delta(" three")])
    assert [said.event.data for said in await reading] == [{"text": " three"}]
