"""The herald: tells everybody who waits their place, how long it lasts, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from kira.domain.errors import GaveUp, ModelNotFound
from kira.domain.runs import State
from kira.ports.engine import Engine, Fleet
from kira.ports.queue import Lost, Place, Queue
from kira.ports.roster import Roster
from kira.ports.stream import Source, Stream
from kira.services.waiting import Line

DEMO = "demo"  # this model and its server are always there
AGAIN: Mapping[str, object] = MappingProxyType({"position": 1, "wait_s": 0.0})
"""The place of a run that comes back: it keeps its standing, so it is next until a look at the line says otherwise."""
MISSED = "No worker has this model just now. Its worker may be restarting."
Told = tuple[int, float | None, str | None]
"""What the readers of a run know: its place, the seconds it lasts, and why."""
LOOK_SECONDS = 1.0
"""How often the table is looked at when nobody here knows of a waiting run: another process may have added one."""


@dataclass(slots=True)
class Herald:
    """Watches the line while somebody stands in it."""

    queue: Queue
    stream: Stream
    engine: Engine
    line: Line
    roster: Roster | None = None
    look_s: float = LOOK_SECONDS
    missed_s: float = 0.0  # how long a model may be missing before its runs end
    hosted: Collection[str] = frozenset()  # models that no worker needs to have
    _told: dict[str, Told] = field(default_factory=dict)
    _going: set[str] = field(default_factory=set)
    _looked: float = 0.0
    _missed: dict[str, float] = field(default_factory=dict)

    @property
    def is_due(self) -> bool:
        """Say whether the table is to be looked at although nothing is known to wait; at most every `look_s`."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < self.look_s:
            return False
        self._looked = now
        return True

    async def look(self) -> None:
        """Tell what changed, if somebody waits or waited a moment ago."""
        # Before the first look at the servers nobody has any model, and all that wait would seem hopeless.
        await self.engine.looked()
        if self.line.waiting or self._told:
            await self.tell()

    def begins(self, run_id: str) -> None:
        """Say nothing of this run from now on: a look at the line that is under way may still see it there."""
        self._going.add(run_id)

    def leaves(self, run_id: str) -> None:
        """Tell the place of this run again if it stands in the line again."""
        self._going.discard(run_id)

    async def tell(self) -> None:
        """Look at the line once and tell what changed; of several workers one tells, and all count."""
        fleet = self.engine.fleet()
        if self.roster is not None:
            fleet = fleet.joined(self.roster.others)
        wanted = await self.queue.wanted()
        self.engine.wanted(wanted)
        leads = self.roster is None or self.roster.leads
        if leads:
            await self.end(self._hopeless(fleet, wanted))
        joins = self.line.joins
        places = await self.queue.places()
        self.line.counted(len(places), joins)
        self.line.slots = max(1, fleet.slots)
        why = _why(fleet)
        self.line.is_held = why is not None
        told: dict[str, Told] = {}
        for place in places:
            if place.run_id in self._going:
                continue
            reason = MISSED if place.model in self._missed else why
            state = (place.position, self.line.wait_s(place.position), None if place.model == DEMO else reason)
            told[place.run_id] = state
            if leads and self._told.get(place.run_id) != state:
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
                why = {"text": "The worker stopped; the answer begins again."}
                await self.stream.append(source, each.attempt + 1, [("queued", dict(AGAIN)), ("reason", why)])
                self.line.joined()
                continue
            await self.stream.append(source, each.attempt + 1, [said])

    async def _tell(self, place: Place, state: Told, before: Told | None) -> None:
        position, wait_s, why = state
        said: list[tuple[str, dict[str, object]]] = []
        if before is None or before[:2] != state[:2]:
            said.append(("queued", {"position": position, "wait_s": wait_s}))
        if why is not None and (before is None or before[2] != why):
            said.append(("reason", {"text": why}))
        if said:
            source = Source(place.user_id, place.run_id, place.conversation_id, place.kind)
            await self.stream.append(source, place.attempt + 1, said)

    async def end(self, hopeless: Sequence[str]) -> None:
        """End the runs that wait for these models, and say that nobody has them."""
        for model in hopeless:
            message = f"No model server has {model}. Pull it with `ollama pull {model}`, or choose another model."
            for each in await self.queue.fail_model(model, ModelNotFound.code, message):
                source = Source(each.user_id, each.run_id, each.conversation_id, each.kind)
                said = ("failed", {"code": ModelNotFound.code, "message": message})
                await self.stream.append(source, each.attempt + 1, [said])

    def missing(self, fleet: Fleet, wanted: Sequence[str]) -> list[str]:
        """Return the models of `wanted` that no server has; none as long as a server does not answer."""
        if any(server.state in ("down", "slow") for server in fleet.servers):
            return []
        known = {*self.hosted, *(model.name for model in fleet.models)}
        return [model for model in wanted if model not in known and f"{model}:latest" not in known]

    def _hopeless(self, fleet: Fleet, wanted: Sequence[str]) -> list[str]:
        """Return the models that no server has had for `missed_s`."""
        missing = self.missing(fleet, wanted)
        now = asyncio.get_running_loop().time()
        self._missed = {model: self._missed.get(model, now) for model in missing}
        return [model for model, since in self._missed.items() if now - since >= self.missed_s]


def _why(fleet: Fleet) -> str | None:
    """Return why nothing goes on, if no server answers."""
    real = [server for server in fleet.servers if server.name != DEMO]
    return real[0].message if real and all(server.state == "down" for server in real) else None
