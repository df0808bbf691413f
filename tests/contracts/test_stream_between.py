"""Streams of several processes tell the same, with the same numbers, whoever works and wherever one reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests import homes
from tests.contracts.streams import WIRES, instances, wires
from tests.contracts.test_stream import DONE, OTHER, PATIENCE_S, RUN, delta, events_of, some

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.stream.bell import Bell
from kira.adapters.stream.process import ProcessStream
from kira.adapters.stream.table import TableWire
from kira.adapters.stream.wire import Spoken, Wire
from kira.adapters.stream.wired import WiredStream
from kira.domain.events import Event, first_number, working_number
from kira.domain.ids import new_id
from kira.domain.limits import STREAM_KEPT_SECONDS
from kira.ports.stream import Source, Stream

QUEUED: tuple[str, dict[str, Any]] = ("queued", {"position": 1})
STARTED: tuple[str, dict[str, Any]] = ("started", {})


@pytest.fixture(params=WIRES)
async def instance(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Stream]]:
    async with instances(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=WIRES)
async def wire(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Callable[[], Wire]]:
    async with wires(request.param, tmp_path, clock) as made:
        yield made


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


async def heard(stream: Stream, source: Source, count: int) -> list[Event]:
    """Read a run until at least `count` events came."""
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in stream.follow(source.user_id, source.run_id, 0):
            found += batch
            if len(found) >= count:
                return found
    return found


async def test_what_is_said_on_one_is_read_on_the_other_with_the_same_numbers(instance: Callable[[], Stream]) -> None:
    here, there = instance(), instance()
    for speaks, reads, source in ((here, there, RUN), (there, here, OTHER)):
        early = asyncio.create_task(events_of(reads, source))
        await asyncio.sleep(0)
        await speaks.append(source, 1, [QUEUED])
        await speaks.append(source, 1, [STARTED, delta("a"), delta("b")], works=True)
        await heard(reads, source, 4)
        await speaks.append(source, 1, [DONE], works=True)
        told = await early
        assert told == await events_of(speaks, source) == await events_of(reads, source)
        assert [event.kind for event in told] == ["queued", "started", "delta", "delta", "done"]


async def test_words_arrive_while_they_are_said(instance: Callable[[], Stream]) -> None:
    here, there = instance(), instance()
    for count in range(1, 6):
        await here.append(RUN, 1, [delta(str(count))], works=True)
        assert len(await heard(there, RUN, count)) == count


async def test_who_joins_in_the_middle_reads_everything(instance: Callable[[], Stream]) -> None:
    here = instance()
    await here.append(RUN, 1, [delta("a"), delta("b")], works=True)
    await heard(instance(), RUN, 2)
    joining = asyncio.create_task(events_of(instance(), RUN))
    await here.append(RUN, 1, [delta("c")], works=True)
    await here.append(RUN, 1, [DONE], works=True)
    assert await joining == await events_of(here, RUN)


@pytest.mark.parametrize("place", range(4))
async def test_a_reader_goes_on_elsewhere_after_any_event(instance: Callable[[], Stream], place: int) -> None:
    here, there = instance(), instance()
    await here.append(RUN, 1, [delta("a"), delta("b")], works=True)
    await here.append(RUN, 1, [delta("c"), DONE], works=True)
    whole = await events_of(here, RUN)
    await heard(there, RUN, 4)
    another = instance()
    assert await another.knows(RUN.user_id, RUN.run_id)
    assert await events_of(another, RUN, whole[place].number) == whole[place + 1 :]


async def test_ten_readers_read_the_same(instance: Callable[[], Stream]) -> None:
    here, there = instance(), instance()
    readers = [asyncio.create_task(events_of(there, RUN)) for _ in range(10)]
    for text in "abcde":
        await here.append(RUN, 1, [delta(text)], works=True)
        await asyncio.sleep(0)
    await here.append(RUN, 1, [DONE], works=True)
    told = await asyncio.gather(*readers)
    assert told == [await events_of(here, RUN)] * 10


async def test_a_user_hears_runs_of_all_and_one_who_comes_from_elsewhere_begins_anew(
    instance: Callable[[], Stream],
) -> None:
    here, there = instance(), instance()
    await here.append(RUN, 1, [delta("one ")], works=True)
    batches = here.follow_user(RUN.user_id, None)
    known = (await some(batches, 2))[-1].number
    await heard(there, RUN, 1)
    told = await some(there.follow_user(RUN.user_id, known), 2)
    assert [said.event.kind for said in told] == ["restart", "delta"]
    reading = asyncio.create_task(some(there.follow_user(RUN.user_id, told[-1].number), 3))
    await here.append(RUN, 1, [delta("two"), DONE], works=True)
    await here.append(OTHER, 1, [delta("other")], works=True)
    found = await reading
    assert [said.event.data.get("text") for said in found if said.source == RUN] == ["two", None]
    assert [said.event.data for said in found if said.source == OTHER] == [{"text": "other"}]


async def test_several_tell_of_the_wait_and_the_work_is_whole(instance: Callable[[], Stream]) -> None:
    here, there = instance(), instance()
    waiting = Source("user-a", new_id(), "conversation-1", "reply")
    reading = asyncio.create_task(events_of(here, waiting))
    for position in (3, 2, 1):
        for stream in (here, there):
            await stream.append(waiting, 1, [("queued", {"position": position})])
    await there.append(waiting, 1, [STARTED, delta("a")], works=True)
    await heard(here, waiting, 5)
    await here.append(waiting, 1, [("queued", {"position": 1})])
    await there.append(waiting, 1, [delta("b"), DONE], works=True)
    told = await reading
    assert [event.kind for event in told if event.kind != "queued"] == ["started", "delta", "delta", "done"]
    assert [event.number for event in told] == sorted({event.number for event in told})


async def test_who_lost_a_run_is_not_heard_any_more(instance: Callable[[], Stream]) -> None:
    lost, holds = instance(), instance()
    reading = asyncio.create_task(events_of(lost, RUN))
    await lost.append(RUN, 1, [STARTED, delta("old")], works=True)
    await heard(holds, RUN, 2)
    await holds.append(RUN, 2, [("reason", {"text": "again"})])
    await holds.append(RUN, 2, [("restart", {}), delta("new")], works=True)
    await lost.append(RUN, 2, [QUEUED])
    await heard(lost, RUN, 5)
    await lost.append(RUN, 1, [delta("late")], works=True)
    await holds.append(RUN, 2, [DONE], works=True)
    told = await reading
    restarted = [event.kind for event in told].index("restart")
    assert [event.data for event in told[restarted + 1 :]] == [{"text": "new"}, DONE[1]]
    assert told[restarted].number == working_number(2)


async def test_an_end_is_forgotten_after_a_while(wire: Callable[[], Wire], clock: FixedClock) -> None:
    speaks = wire()
    await speaks.publish([Spoken(RUN, [Event(1, *delta("a")), Event(2, *DONE)])])
    await speaks.trim()
    assert [len(each.events) for each in await wire().read({RUN.user_id: {}})] == [2]
    clock.advance(STREAM_KEPT_SECONDS + 1)
    await speaks.trim()
    assert await wire().read({RUN.user_id: {}}) == []


async def test_a_process_with_its_own_runs_writes_and_asks_nothing_while_they_go(tmp_path: Path) -> None:
    database = homes.open_database(tmp_path / "kira.sqlite")
    stream = WiredStream(TableWire(database, FixedClock()), publishes=False)
    try:
        await stream.append(RUN, 1, [STARTED], works=True)
        before = database.executed
        reading = asyncio.create_task(events_of(stream, RUN))
        for text in "abc":
            await stream.append(RUN, 1, [delta(text)], works=True)
            await asyncio.sleep(0)
        await stream.append(RUN, 1, [DONE], works=True)
        assert [event.number for event in await reading] == [1, 2, 3, 4, 5]
        assert database.executed == before
    finally:
        await stream.close()
        await database.close()


async def test_a_process_with_its_own_runs_hears_those_that_another_works_on(tmp_path: Path) -> None:
    async with wires("table", tmp_path, FixedClock()) as wire:
        listens, speaks = WiredStream(wire(), publishes=False), WiredStream(wire())
        await listens.append(RUN, 1, [QUEUED])
        reading = asyncio.create_task(events_of(listens, RUN))
        await speaks.append(RUN, 1, [STARTED, delta("a")], works=True)
        assert len(await heard(listens, RUN, 3)) == 3
        await speaks.append(RUN, 1, [DONE], works=True)
        assert [event.kind for event in await reading] == ["queued", "started", "delta", "done"]
        await speaks.close()
        await listens.close()


async def test_a_hint_is_enough_to_read_the_table(tmp_path: Path) -> None:
    database, news = homes.open_database(tmp_path / "kira.sqlite"), Bell()
    listens = WiredStream(TableWire(database, FixedClock(), news), publishes=False)
    reading = asyncio.create_task(events_of(listens, RUN))
    wire = TableWire(database, FixedClock())
    for number, said in enumerate((STARTED, delta("a"), DONE)):
        await wire.publish([Spoken(RUN, [Event(working_number(1) + number, *said)])])
        news.ring()
    assert [event.kind for event in await reading] == ["started", "delta", "done"]
    await listens.close()
    await database.close()


async def test_what_many_runs_say_in_a_moment_is_one_write(tmp_path: Path) -> None:
    database = homes.open_database(tmp_path / "kira.sqlite")
    stream = WiredStream(TableWire(database, FixedClock()))
    before = database.executed
    for number in range(100):
        await stream.append(Source("user-a", f"run-{number}", None, "reply"), 1, [STARTED, delta("a")], works=True)
    await stream.close()
    assert database.executed == before + 1
    assert len(await TableWire(database, FixedClock()).read({"user-a": {}})) == 100
    await database.close()


def test_after_a_gap_nothing_more_of_the_attempt_is_told() -> None:
    stream = ProcessStream()
    first = working_number(1)
    assert not stream.put(RUN, [Event(first + 1, *delta("no beginning"))])
    assert stream.put(RUN, [Event(first, *delta("a")), Event(first + 2, *delta("c"))])
    assert not stream.put(RUN, [Event(first, *delta("a")), Event(first + 3, *delta("d"))])
    assert stream.put(RUN, [Event(first_number(2) + 7, *QUEUED), Event(working_number(2), "restart", {})])
    assert stream.known(RUN.user_id) == {RUN.run_id: working_number(2)}
