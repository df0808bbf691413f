"""The engine of a process that does not work itself: what the workers of other processes say they serve."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Collection
from dataclasses import replace

from kira.adapters.engine.bell import Bell
from kira.domain.errors import KiraError, NoModel
from kira.domain.limits import MODEL_MISSED_SECONDS, WORKER_TELLS_SECONDS
from kira.ports.engine import Fleet, Model, Piece, Prompt, Room, Server
from kira.ports.roster import Roster

log = logging.getLogger("kira.engine")

LOOK_SECONDS = WORKER_TELLS_SECONDS / 2
FIRST_LOOK_SECONDS = 0.25
FIRST_LOOKS = 12
"""How often is looked quickly after the start: hosts start together, and a worker may be here in a moment."""
NOBODY = "No worker is here, so runs wait. Start `kira worker` on a host with a model server."


class ElsewhereEngine:
    """Knows models and servers from the roster; it never has room, and replies to nothing."""

    def __init__(self, roster: Roster, *, asleep: Fleet | None = None) -> None:
        """Read `roster` again and again from `start` on.

        Where workers come when runs wait, `asleep` is what they will serve: it counts while there is none.
        """
        self._roster = roster
        self._asleep = asleep
        self._bell = Bell()
        self._looking: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self._seen: dict[str, tuple[Model, float]] = {}
        self._default: str | None = None

    async def start(self) -> None:
        """Begin looking."""
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def looked(self) -> None:
        """Return once a worker was found, or none during the first looks."""
        await self._first.wait()

    async def changed(self) -> None:
        """Return when another look gave something else."""
        await self._bell.heard()

    def wanted(self, models: Collection[str]) -> None:
        """Workers read for themselves what is wanted."""

    def room(self) -> list[Room]:
        """Nothing begins here."""
        return []

    def fleet(self) -> Fleet:
        """Return what all workers serve or served a moment ago, or that there is none.

        A worker that restarts is away for seconds: until it is back, who asked for its model waits, and those who
        chose none get no other.
        """
        others = self._roster.others
        now = time.monotonic()
        last = self._roster.last
        nobody = Fleet((), (Server("worker", "down", NOBODY),), last.default if last else None, NOBODY)
        fleet = others[0].joined(others[1:]) if others else self._asleep or nobody
        known = {model.name: model for model in fleet.models}
        self._seen.update({model.name: (model, now) for model in fleet.models if not model.demo})
        self._default = fleet.default if fleet.default in self._seen else self._default or fleet.default
        missed = [
            replace(model, loaded=False)
            for model, seen in self._seen.values()
            if model.name not in known and now - seen < MODEL_MISSED_SECONDS
        ]
        return replace(fleet, models=(*fleet.models, *missed), default=self._default)

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Refuse: runs are worked on elsewhere."""
        nothing: tuple[Piece, ...] = ()
        for piece in nothing:
            yield piece
        raise NoModel(f"{prompt.model} is not served by this process.")

    async def _look(self) -> None:
        seen: Fleet | None = None
        looks = 0
        while True:
            with contextlib.suppress(KiraError):
                await self._roster.look()
            fleet = self.fleet()
            if fleet != seen:
                seen = fleet
                self._bell.ring()
            looks += 1
            if self._roster.others or looks > FIRST_LOOKS:
                self._first.set()
            await asyncio.sleep(LOOK_SECONDS if self._first.is_set() else FIRST_LOOK_SECONDS)
