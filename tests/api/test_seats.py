"""Seats of event streams where each stream is served by a process of its own: bounded for a user over all of them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests import homes
from tests.api.caller import PATIENCE_S, until
from tests.api.conftest import Home, Homes

from kira.adapters.engine.scripted import ScriptedEngine
from kira.domain.limits import STREAMS_PER_USER_APART_MAX
from kira.testing.serving import Plan

EVENTS = "/api/events"
WORDS_PER_SECOND = 4  # an answer that goes on for longer than anybody looks away

ENDS = {"done", "failed", "cancelled", "idle"}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let streams of this process look at every word."""
    monkeypatch.setattr("kira.web.streams.SESSION_LOOK_SECONDS", 0)


async def run_of(home: Home) -> str:
    """Return the path of the events of a run of bob's that goes on."""
    run_id = (await home.bob.send(await home.bob.begin(), "Go on"))["run"]["id"]
    return f"/api/runs/{run_id}/events"


@pytest.mark.usefixtures("looks")
async def test_with_one_stream_too_many_the_oldest_breaks_off_and_the_others_go_on(home_of: Homes) -> None:
    async with home_of(Plan(ScriptedEngine(words_per_second=WORDS_PER_SECOND), apart=True)) as home:
        path = await run_of(home)
        async with AsyncExitStack() as stack:
            paths = [(EVENTS, path)[number % 2] for number in range(STREAMS_PER_USER_APART_MAX + 1)]
            oldest, *others = [await stack.enter_async_context(home.bob.stream(each)) for each in paths]
            async with asyncio.timeout(PATIENCE_S):
                assert not {frame.kind async for frame in oldest} & ENDS
            run_id = (await home.alice.send(await home.alice.begin(), "Go on"))["run"]["id"]
            others.append(await stack.enter_async_context(home.alice.stream(f"/api/runs/{run_id}/events")))
            for frames in others:
                await until(frames, "delta")


async def test_of_many_streams_that_are_opened_at_once_so_many_keep_a_seat(home_of: Homes, tmp_path: Path) -> None:
    plan = Plan(ScriptedEngine(words_per_second=WORDS_PER_SECOND), apart=True)
    async with home_of(plan) as one, home_of(plan, again=True) as two, AsyncExitStack() as stack:
        path = await run_of(one)
        asked = [home.bob.stream(each) for home in (one, two) for each in (path, EVENTS) for _ in range(10)]
        await asyncio.gather(*map(stack.enter_async_context, asked))
        with homes.direct(tmp_path / "kira.sqlite") as rows:
            assert rows.execute("SELECT COUNT(*) FROM seats").fetchall() == [(STREAMS_PER_USER_APART_MAX,)]


async def test_a_stream_that_ends_leaves_its_seat(home_of: Homes, tmp_path: Path) -> None:
    async with home_of(Plan(apart=True)) as home:
        assert (await home.bob.follow(await run_of(home)))[-1].kind == "done"
        with homes.direct(tmp_path / "kira.sqlite") as rows:
            async with asyncio.timeout(PATIENCE_S):
                while rows.execute("SELECT COUNT(*) FROM seats").fetchall() != [(0,)]:
                    await asyncio.sleep(0.01)


@pytest.mark.usefixtures("looks")
@pytest.mark.parametrize(("lost", "apart"), [("session", False), ("session", True), ("seat", True)])
async def test_a_stream_breaks_off_without_an_end_when_its_reader_may_not_read_on(
    home_of: Homes, tmp_path: Path, lost: str, apart: bool
) -> None:
    async with home_of(Plan(ScriptedEngine(words_per_second=WORDS_PER_SECOND), apart=apart)) as home:
        await run_of(home)
        async with asyncio.timeout(PATIENCE_S), home.bob.stream(EVENTS) as frames:
            await until(frames, "delta")
            with homes.direct(tmp_path / "kira.sqlite") as rows:
                rows.execute("DELETE FROM seats" if lost == "seat" else "UPDATE sessions SET ended_at = 1")
            kinds = {frame.kind async for frame in frames}
        assert not kinds & ENDS
