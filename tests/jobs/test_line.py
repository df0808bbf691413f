"""The herald's look at the line forgets nobody who joins meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.adapters.queue.table import TableQueue
from kira.adapters.stream.process import ProcessStream
from kira.jobs.line import Herald
from kira.ports.database import Database
from kira.ports.queue import Place
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
    database, line = create_database(SqliteConfig(tmp_path / "kira.sqlite")), Line(waiting=3)
    herald = Herald(Crossed(database, line), ProcessStream(), held_engine(), line)
    await herald.tell()
    assert line.waiting == 1
    await herald.tell()
    assert line.waiting == 0
    await database.close()
