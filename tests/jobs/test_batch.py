"""A batch works on as many runs as it has hints, and hands back in time what does not get done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests import homes
from tests.asking import ask, fill, user_id

from kira.adapters.clock.system import SystemClock
from kira.adapters.engine.scripted import DEMO
from kira.adapters.queue.table import TableQueue
from kira.adapters.stream.process import ProcessStream
from kira.domain.errors import Unavailable
from kira.jobs.batch import Batch
from kira.jobs.telling import Telling
from kira.ports.database import Database
from kira.ports.engine import Engine
from kira.services.answering import Answering
from kira.testing.serving import held_engine, quick_engine

USERS = 6


@dataclass
class Place:
    """A database with questions, and the queue in it."""

    database: Database
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        """Share one queue."""
        self.queue = TableQueue(self.database, self.clock)

    def batch(self, engine: Engine, begin_s: float = 0) -> Batch:
        """Return a batch."""
        answering = Answering(self.database, self.clock)
        return Batch(answering, engine, self.queue, Telling(ProcessStream()), begin_s)

    async def ask(self, count: int) -> list[str]:
        """Add so many waiting runs, each of another user."""
        runs = [await ask(self.database, self.clock.now(), user, DEMO) for user in range(count)]
        return [run for run in runs if run is not None]

    async def states(self, runs: list[str]) -> list[str]:
        """Return where they stand."""
        return [
            (await self.database.of(user_id(user)).query("runs.one", {"run_id": run}))[0]["state"]
            for user, run in enumerate(runs)
        ]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    database = homes.open_database(tmp_path / "kira.sqlite")
    fill(tmp_path / "kira.sqlite", users=USERS)
    yield Place(database)
    await database.close()


async def test_more_runs_than_slots_are_worked_on_one_after_the_other(place: Place) -> None:
    runs = await place.ask(USERS)
    assert await place.batch(quick_engine(slots=2)).work(USERS, 60) == 0
    assert await place.states(runs) == ["done"] * USERS


async def test_no_more_runs_are_taken_than_there_are_hints(place: Place) -> None:
    runs = await place.ask(4)
    assert await place.batch(quick_engine(slots=8)).work(2, 60) == 0
    assert sorted(await place.states(runs)) == ["done", "done", "queued", "queued"]


async def test_hints_for_nothing_are_used_up(place: Place) -> None:
    assert await place.batch(quick_engine()).work(10, 60) == 0


async def test_what_is_not_done_in_time_is_handed_back_and_the_rest_is_left(place: Place) -> None:
    runs = await place.ask(3)
    assert await place.batch(held_engine(slots=1)).work(3, 0.3) == 2
    assert await place.states(runs) == ["queued"] * 3
    assert await place.batch(quick_engine()).work(3, 60) == 0, "it may go again at once"
    assert await place.states(runs) == ["done"] * 3


async def test_nothing_is_begun_that_could_not_get_done(place: Place) -> None:
    runs = await place.ask(1)
    assert await place.batch(quick_engine(), begin_s=10).work(1, 0.1) == 1
    assert await place.states(runs) == ["queued"]


async def test_a_queue_that_cannot_be_asked_is_told(place: Place) -> None:
    await place.database.close()
    with pytest.raises(Unavailable):
        await place.batch(quick_engine()).work(1, 5)
