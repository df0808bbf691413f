"""Seats of event streams where each stream is served by a process of its own: bounded for a user over all of them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests import homes
from tests.api.caller import PATIENCE_S, until
from tests.api.conftest import Home, Homes

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.engine.scripted import ScriptedEngine
from kira.domain.limits import SEAT_SECONDS, STREAMS_PER_USER_APART_MAX
from kira.domain.moments import SECOND
from kira.testing.serving import Plan, held_engine

EVENTS = "/api/events"


async def run_of(home: Home) -> str:
    """Return the path of the events of a run of bob's that goes on."""
    run_id = (await home.bob.send(await home.bob.begin(), "Go on"))["run"]["id"]
    return f"/api/runs/{run_id}/events"


async def opened(home: Home, path: str, kept: AsyncExitStack) -> int:
    """Open a stream as bob, which stays open until `kept` is closed, and return the status."""
    asking = home.bob.session.get(path, headers={"Authorization": f"Bearer {home.bob.token}"})
    return (await kept.enter_async_context(asking)).status


async def test_a_user_may_hold_so_many_over_all_instances_and_gets_each_seat_back(home_of: Homes) -> None:
    plan = Plan(held_engine(slots=4), apart=True)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(home_of(plan))
        two = one if homes.is_aws() else await stack.enter_async_context(home_of(plan, again=True))
        path = await run_of(one)
        async with AsyncExitStack() as streams:
            for number in range(STREAMS_PER_USER_APART_MAX):
                held = (one, two)[number % 2].bob.stream((EVENTS, path)[number % 2])
                await streams.enter_async_context(held)
            for home in (one, two):
                for one_more in (path, EVENTS):
                    refused = await home.bob.get(one_more)
                    assert refused.error == (429, "TOO_MANY_STREAMS")
                    assert int(refused.headers["Retry-After"]) == refused.json["error"]["retry_after_s"] > 0
            assert (await two.bob.get("/api/conversations")).status == 200
            run_id = (await two.alice.send(await two.alice.begin(), "Go on"))["run"]["id"]
            async with two.alice.stream(f"/api/runs/{run_id}/events"):
                pass
        async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as streams:
            while await opened(two, path, streams) != 200:
                await asyncio.sleep(0.1)


async def test_of_many_streams_that_are_opened_at_once_so_many_are(home_of: Homes) -> None:
    plan = Plan(held_engine(slots=4), apart=True)
    async with home_of(plan) as one, home_of(plan, again=True) as two:
        path = await run_of(one)
        async with AsyncExitStack() as streams:
            asked = [opened(home, each, streams) for home in (one, two) for each in (path, EVENTS) for _ in range(10)]
            statuses = await asyncio.gather(*asked)
        assert sorted(statuses) == [200] * STREAMS_PER_USER_APART_MAX + [429] * (40 - STREAMS_PER_USER_APART_MAX)


async def test_the_seats_of_a_process_that_was_ended_are_free_after_a_while(home_of: Homes, tmp_path: Path) -> None:
    clock = FixedClock()
    async with home_of(Plan(held_engine(slots=4), clock=clock, apart=True)) as home:
        path, ends = await run_of(home), clock.now() + SEAT_SECONDS * SECOND
        with homes.direct(tmp_path / "kira.sqlite") as rows:
            ((bob,),) = rows.execute("SELECT id FROM users WHERE role = 'user'").fetchall()
            held = [(bob, f"seat {number}", ends) for number in range(STREAMS_PER_USER_APART_MAX)]
            rows.executemany("INSERT INTO seats (user_id, id, until) VALUES (?, ?, ?)", held)
        clock.advance(SEAT_SECONDS - 0.001)
        async with AsyncExitStack() as streams:
            assert await opened(home, path, streams) == 429
            clock.advance(0.001)
            assert await opened(home, path, streams) == 200


@pytest.mark.parametrize(("lost", "apart"), [("session", False), ("session", True), ("seat", True)])
async def test_a_stream_breaks_off_without_an_end_when_its_reader_may_not_read_on(
    home_of: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str, apart: bool
) -> None:
    monkeypatch.setattr("kira.web.streams.SESSION_LOOK_SECONDS", 0)
    async with home_of(Plan(ScriptedEngine(words_per_second=20), apart=apart)) as home:
        await run_of(home)
        async with asyncio.timeout(PATIENCE_S), home.bob.stream(EVENTS) as frames:
            await until(frames, "delta")
            with homes.direct(tmp_path / "kira.sqlite") as rows:
                rows.execute("DELETE FROM seats" if lost == "seat" else "UPDATE sessions SET ended_at = 1")
            kinds = {frame.kind async for frame in frames}
        assert kinds <= {"delta"}
