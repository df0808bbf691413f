"""The wire as a table: events are rows of `run_events` for a few minutes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from itertools import groupby

from kira.adapters.stream.wire import Known, News, Spoken
from kira.domain.events import Event
from kira.domain.limits import DELTA_MILLISECONDS, STREAM_KEPT_SECONDS
from kira.domain.moments import SECOND
from kira.ports.clock import Clock
from kira.ports.database import Database, Row
from kira.ports.stream import Source

NEWS_SECONDS = 1.0
"""How long a lost hint may delay what is read, where hints come at all."""


class TableWire:
    """Keeps the Wire promise with system statements on any database.

    Reading is by run and number, never by an order of rows: rows of transactions that ran at the same time become
    visible in any order, so that the highest row that was seen says nothing about lower ones. But of the one run only
    one process at a time writes work, and it awaits each write before the next: above the last known number of a run
    nothing can appear below what was read. What several processes tell of a waiting run may be missed; it is told
    again when it changes.
    """

    def __init__(self, database: Database, clock: Clock, news: News | None = None) -> None:
        """Use `database` and `clock`; `news` tells of what was published, without it the table is looked at."""
        self._rows = database.system
        self._clock = clock
        self._news = news
        self._read_at = 0.0

    async def publish(self, spoken: Sequence[Spoken]) -> None:
        """Write the events of many runs in one statement."""
        events = [
            {
                "user_id": each.source.user_id,
                "run_id": each.source.run_id,
                "number": event.number,
                "conversation_id": each.source.conversation_id,
                "run_kind": each.source.kind,
                "kind": event.kind,
                "data": json.dumps(event.data, separators=(",", ":")),
            }
            for each in spoken
            for event in each.events
        ]
        params = {"events": json.dumps(events, separators=(",", ":")), "now": self._clock.now()}
        await self._rows.execute("stream.publish", params)

    async def read(self, known: Known) -> Sequence[Spoken]:
        """Return the events of the users of `known` above what is known of each run."""
        self._read_at = time.monotonic()
        numbers = [
            {"user_id": user_id, "run_id": run_id, "number": number}
            for user_id, runs in known.items()
            for run_id, number in runs.items()
        ]
        params = {"users": json.dumps(list(known)), "known": json.dumps(numbers, separators=(",", ":"))}
        rows = await self._rows.query("stream.read", params)
        return [Spoken(source, [_event(row) for row in each]) for source, each in groupby(rows, _source)]

    async def wait(self, seconds: float) -> None:
        """Return at the next hint; without hints, after `seconds`."""
        if self._news is None or not self._news.hears:
            await asyncio.sleep(seconds)
        else:
            await self._news.wait(max(seconds, NEWS_SECONDS))
            # One reading for the hints of many; the first after a silence is not kept waiting.
            await asyncio.sleep(self._read_at + DELTA_MILLISECONDS / 1000 - time.monotonic())

    async def trim(self) -> None:
        """Delete the rows of runs that have ended a while ago."""
        await self._rows.execute("stream.trim", {"horizon": self._clock.now() - STREAM_KEPT_SECONDS * SECOND})

    async def check(self) -> None:
        """Do nothing: the database was opened."""

    async def close(self) -> None:
        """Do nothing: the database is closed by whoever opened it."""


def _source(row: Row) -> Source:
    return Source(row["user_id"], row["run_id"], row["conversation_id"], row["run_kind"])


def _event(row: Row) -> Event:
    return Event(row["number"], row["kind"], json.loads(row["data"]))
