"""The roster as a table: a row for each worker, which is believed as long as it is fresh."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kira.domain.ids import new_id
from kira.domain.limits import WORKER_SILENCE_SECONDS
from kira.domain.moments import DAY, SECOND
from kira.ports.clock import Clock
from kira.ports.database import Call, Database, Row
from kira.ports.engine import Fleet, Model, Server


class TableRoster:
    """Keeps the Roster promise with system statements on any database."""

    def __init__(self, database: Database, clock: Clock, name: str, *, quiet: bool = False) -> None:
        """Be the worker `name`; `quiet` ones that are alone write only once, so that an idle computer stays idle."""
        self._rows = database.system
        self._clock = clock
        self._name = name
        self._quiet = quiet
        self._id = new_id()  # ids rise with time, so the least is who came first
        self._others: dict[str, Fleet] = {}
        self._last: Fleet | None = None
        self._was_told = False

    async def tell(self, fleet: Fleet) -> None:
        """Write this worker's row, unless it is quiet and alone, and read those of the others."""
        await self.look()
        if self._quiet and self._was_told and not self._others:
            return
        now = self._clock.now()
        said = json.dumps(asdict(fleet), separators=(",", ":"))
        row = {"worker_id": self._id, "name": self._name, "fleet": said, "now": now}
        await self._rows.run([Call("workers.tell", row), Call("workers.sweep", {"since": now - DAY})])
        self._was_told = True

    async def look(self) -> None:
        """Read the rows of the others: fresh ones count, the freshest of all is remembered."""
        now = self._clock.now()
        rows = [row for row in await self._rows.query("workers.all", {"since": now - DAY}) if row["id"] != self._id]
        fresh = now - WORKER_SILENCE_SECONDS * SECOND
        self._others = {str(row["id"]): _fleet(row) for row in rows if row["seen_at"] > fresh}
        self._last = _fleet(max(rows, key=lambda row: int(row["seen_at"]))) if rows else None

    async def leave(self) -> None:
        """Let this worker's row be one that is no longer fresh."""
        gone = self._clock.now() - WORKER_SILENCE_SECONDS * SECOND
        await self._rows.execute("workers.leave", {"worker_id": self._id, "now": gone})

    @property
    def last(self) -> Fleet | None:
        """What the worker served that was heard of last, even if it is gone."""
        return self._last

    @property
    def others(self) -> Sequence[Fleet]:
        """What the other living workers serve, those that came first in front."""
        return [self._others[worker_id] for worker_id in sorted(self._others)]

    @property
    def leads(self) -> bool:
        """Say whether no other living worker came before this one; who is none leads only while there is none."""
        return all(self._was_told and self._id < other for other in self._others)


def _fleet(row: Row) -> Fleet:
    told: Mapping[str, Any] = json.loads(str(row["fleet"]))
    models = tuple(Model(**{**model, "capabilities": tuple(model["capabilities"])}) for model in told["models"])
    return Fleet(models, tuple(Server(**server) for server in told["servers"]), told["default"], told["advice"])
