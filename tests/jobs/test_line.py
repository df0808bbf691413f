"""The herald's look at the line forgets nobody who joins meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests import homes
from tests.asking import ask, fill
from tests.jobs.rig import open_home

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.queue.table import TableQueue
from kira.adapters.stream.process import ProcessStream
from kira.domain.runs import Kind
from kira.jobs.line import Herald
from kira.ports.database import Database
from kira.ports.queue import Place
from kira.ports.stream import Source
from kira.services.waiting import Line
from kira.testing.serving import held_engine


class Crossed(TableQueue):
    """The table's queue, where the next run joins after the table was read and before its readers know."""

    def __init__(self, database: Database, line: Line) -> None:
        super().__init__(database, FixedClock())
        self.line: Line | None = line

    async def places(self) -> Sequence[Place]:
        found = await super().places()
        if self.line is not None:
            self.line.joined()
            self.line = None
        return found


async def test_a_run_that_joins_during_the_look_still_waits_after_it(tmp_path: Path) -> None:
    database, line = homes.open_database(tmp_path / "kira.sqlite"), Line(waiting=3)
    herald = Herald(Crossed(database, line), ProcessStream(), held_engine(), line)
    await herald.tell()
    assert line.waiting == 1
    await herald.tell()
    assert line.waiting == 0
    await database.close()


async def test_a_run_that_begins_during_the_look_is_not_sent_back_to_its_place(tmp_path: Path) -> None:
    async with open_home(tmp_path / "kira.sqlite") as home:
        run = await home.ask("mine")
        herald = Herald(home.queue, home.stream, held_engine(), home.line)
        herald.begins(run)
        await herald.tell()
        source = Source((await home.visit()).user_id, run, None, "reply")
        await home.stream.append(source, 1, [("started", {"model": "demo"})])
        herald.leaves(run)
        await herald.tell()
        told = await home.told(run, lambda kind, data: kind == "queued" and "message_id" not in data)
    assert [kind for kind, _ in told] == ["queued", "started", "queued"]


async def test_a_run_whose_model_is_missing_waits_a_while_before_it_ends(tmp_path: Path) -> None:
    database, clock = homes.open_database(tmp_path / "kira.sqlite"), FixedClock()
    fill(tmp_path / "kira.sqlite", users=1)
    queue, line = TableQueue(database, clock), Line()
    await ask(database, clock.now(), 0, "gone:latest", Kind.REPLY)
    patient = Herald(queue, ProcessStream(), held_engine(), line, missed_s=3_600)
    await patient.tell()
    assert await queue.wanted() == ["gone:latest"]
    hasty = Herald(queue, ProcessStream(), held_engine(), line)
    await hasty.tell()
    assert await queue.wanted() == []
    await database.close()
