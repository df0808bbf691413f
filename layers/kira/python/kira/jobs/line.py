"""The herald: tells everybody who waits their place, how long it lasts, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from kira.domain.errors import GaveUp, ModelNotFound
from kira.domain.runs import State
from kira.ports.engine import Engine, Fleet
from kira.ports.queue import Lost, Place, Queue
from kira.ports.stream import Source, Stream
from kira.services.waiting import Line

DEMO = "demo"  # this model and its server are always there
LOOK_SECONDS = 1.0
"""How often the table is looked at when nobody here knows of a waiting run: another process may have added one."""


@dataclass(slots=True)
class Herald:
    """Watches the line while somebody stands in it."""

    queue: Queue
    stream: Stream
    engine: Engine
    line: Line
    _told: dict[str, tuple[int, float, str | None]] = field(default_factory=dict)
    _looked: float = 0.0

    @property
    def is_due(self) -> bool:
        """Say whether the table is to be looked at although nothing is known to wait; at most every LOOK_SECONDS."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        return True

    async def look(self) -> None:
        """Tell what changed, if somebody waits or waited a moment ago."""
        # Before the first look at the servers nobody has any model, and all that wait would seem hopeless.
        await self.engine.looked()
        if self.line.waiting or self._told:
            await self.tell()

    async def tell(self) -> None:
        """Look at the line once and tell what changed."""
        fleet = self.engine.fleet()
        wanted = await self.queue.wanted()
        self.engine.wanted(wanted)
        await self._end_hopeless(fleet, wanted)
        joins = self.line.joins
        places = await self.queue.places()
        self.line.counted(len(places), joins)
        self.line.slots = max(1, fleet.slots)
        why = _why(fleet)
        told: dict[str, tuple[int, float, str | None]] = {}
        for place in places:
            state = (place.position, self.line.wait_s(place.position), None if place.model == DEMO else why)
            told[place.run_id] = state
            if self._told.get(place.run_id) != state:
                await self._tell(place, state, self._told.get(place.run_id))
        self._told = told

    async def tell_lost(self, lost: Sequence[Lost]) -> None:
        """Tell the readers of runs whose worker is gone."""
        for each in lost:
            source = Source(each.user_id, each.run_id, each.conversation_id, each.kind)
            if each.end is State.FAILED:
                said = ("failed", {"code": GaveUp.code, "message": GaveUp().message})
            elif each.end is State.CANCELLED:
                said = ("cancelled", {})
            else:
                said = ("reason", {"text": "The worker stopped; the answer begins again."})
                self.line.joined()
            await self.stream.append(source, each.attempt + 1, [said])

    async def _tell(
        self, place: Place, state: tuple[int, float, str | None], before: tuple[int, float, str | None] | None
    ) -> None:
        position, wait_s, why = state
        said: list[tuple[str, dict[str, object]]] = []
        if before is None or before[:2] != state[:2]:
            said.append(("queued", {"position": position, "wait_s": wait_s}))
        if why is not None and (before is None or before[2] != why):
            said.append(("reason", {"text": why}))
        if said:
            source = Source(place.user_id, place.run_id, place.conversation_id, place.kind)
            await self.stream.append(source, max(1, place.attempt), said)

    async def _end_hopeless(self, fleet: Fleet, wanted: Sequence[str]) -> None:
        """End runs that ask for a model which no server has, while all servers answer."""
        if any(server.state in ("down", "slow") for server in fleet.servers):
            return
        known = {model.name for model in fleet.models}
        for model in wanted:
            if model not in known and f"{model}:latest" not in known:
                message = f"No model server has {model}. Pull it with `ollama pull {model}`, or choose another model."
                for each in await self.queue.fail_model(model, ModelNotFound.code, message):
                    source = Source(each.user_id, each.run_id, each.conversation_id, each.kind)
                    said = ("failed", {"code": ModelNotFound.code, "message": message})
                    await self.stream.append(source, max(1, each.attempt), [said])


def _why(fleet: Fleet) -> str | None:
    """Return why nothing goes on, if no server answers."""
    real = [server for server in fleet.servers if server.name != DEMO]
    return real[0].message if real and all(server.state == "down" for server in real) else None
