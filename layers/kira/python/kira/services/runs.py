"""Runs as their users see them: where they stand, what they say, and how to stop them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

from kira.domain.errors import NotFound
from kira.domain.events import Event, first_number
from kira.domain.runs import ENDED, Run, State
from kira.ports.clock import Clock
from kira.ports.database import Call
from kira.ports.queue import Queue
from kira.ports.stream import Said, Source, Stream
from kira.services import rows
from kira.services.visits import Visit
from kira.services.waiting import Line


@dataclass(frozen=True, slots=True)
class Runs:
    """Reads runs of one user and follows what they say."""

    clock: Clock
    queue: Queue
    stream: Stream
    line: Line

    async def one(self, visit: Visit, run_id: str) -> Run:
        """Return a run, with its place and estimated wait while it waits; raises NotFound."""
        run = await self._read(visit, run_id)
        if run.state is not State.QUEUED:
            return run
        for place in await self.queue.places():
            if place.run_id == run_id:
                return replace(run, position=place.position, wait_s=self.line.wait_s(place.position))
        return run

    async def cancel(self, visit: Visit, run_id: str) -> Run:
        """End a waiting run or ask a running one to stop; an ended run stays as it is. Raises NotFound."""
        stopped, found = await visit.run(
            [
                Call("runs.cancel", {"run_id": run_id, "now": self.clock.now()}),
                Call("runs.one", {"run_id": run_id}),
            ]
        )
        if not found.rows:
            raise NotFound
        run = rows.run(found.rows[0])
        if stopped.rows and run.state is State.CANCELLED:
            source = Source(visit.user_id, run.id, run.conversation_id, run.kind)
            await self.stream.append(source, found.rows[0]["attempt"] + 1, [("cancelled", {})])
        self.queue.interrupt()
        return run

    async def follow(self, visit: Visit, run_id: str, after: int) -> AsyncIterator[list[Event]]:
        """Return what a run says above the number `after`; raises NotFound before the first event.

        A run whose events are no longer kept is told from the database: the whole text, then its end.
        """
        if await self.stream.knows(visit.user_id, run_id):
            await visit.check()
            return self._follow(visit, run_id, after)
        found = await visit.query("runs.one", {"run_id": run_id})
        if not found:
            raise NotFound
        run, attempt = rows.run(found[0]), int(found[0]["attempt"])
        if run.state in ENDED:
            return _told(await self._told(visit, run, max(attempt, 1), after))
        return self._follow(visit, run_id, after)

    async def follow_user(self, visit: Visit, after: int | None) -> AsyncIterator[list[Said]]:
        """Return what all active runs of the user say; ends when none is left."""
        active = await visit.query("runs.active")
        return self._until_idle(visit, {str(row["id"]) for row in active}, after)

    async def _until_idle(self, visit: Visit, active: set[str], after: int | None) -> AsyncIterator[list[Said]]:
        if not active and after is None:
            return
        unheard = set(active)  # one that ended between the table and the stream never says so
        held: dict[str, list[Said]] = {}
        async for told in self.stream.follow_user(visit.user_id, after):
            if told and told[0].event.number == 0:
                batch = await self._active_of(visit, told, active, held)
            else:
                batch = list(_with_held(told, held))
            unheard.difference_update(said.source.run_id for said in batch)
            for said in batch:
                if said.event.kind in ("done", "failed", "cancelled"):
                    active.discard(said.source.run_id)
                else:
                    active.add(said.source.run_id)
            yield batch
            if not batch or not active or unheard:
                # Silence, or perhaps the end: runs of another process say nothing here, so the table is asked.
                active = {str(row["id"]) for row in await visit.rows.query("runs.active")}
                unheard.clear()
                if not active:
                    return

    async def _active_of(
        self, visit: Visit, told: list[Said], active: set[str], held: dict[str, list[Said]]
    ) -> list[Said]:
        """Leave out runs that ended elsewhere while nobody here listened: to the stream they still seem to go.

        One that ended this very moment still says the rest of its text; what it said before is `held` for then.
        """
        if {said.source.run_id for said in told} - active:
            active |= {str(row["id"]) for row in await visit.rows.query("runs.active")}
        for said in told:
            if said.source.run_id not in active:
                held.setdefault(said.source.run_id, []).append(said)
        return [said for said in told if said.source.run_id in active]

    async def _follow(self, visit: Visit, run_id: str, after: int) -> AsyncIterator[list[Event]]:
        """Follow a run; in silence the table is asked, because a worker in another process may have ended it."""
        last = after
        async for batch in self.stream.follow(visit.user_id, run_id, after):
            yield batch
            if batch:
                last = batch[-1].number
                continue
            found = await visit.rows.query("runs.one", {"run_id": run_id})
            run = rows.run(found[0]) if found else None
            if run is None:
                return
            if run.state in ENDED:
                yield await self._told(visit, run, max(1, int(found[0]["attempt"])), last)
                return

    async def _told(self, visit: Visit, run: Run, attempt: int, after: int) -> list[Event]:
        said: list[tuple[str, dict[str, object]]] = [("restart", {})] if after else []
        if run.answer_id is not None:
            answer = await visit.rows.query("messages.one", {"message_id": run.answer_id})
            if answer:
                said.append(("delta", {"text": answer[0]["content"]}))
        said.append(_end(run))
        number = max(first_number(attempt + 1), after + 1)
        return [Event(number + place, kind, data) for place, (kind, data) in enumerate(said)]

    async def _read(self, visit: Visit, run_id: str) -> Run:
        found = await visit.query("runs.one", {"run_id": run_id})
        if not found:
            raise NotFound
        return rows.run(found[0])


def _with_held(told: list[Said], held: dict[str, list[Said]]) -> Iterator[Said]:
    """Tell what was held of a run before the first that it says after all."""
    for said in told:
        yield from held.pop(said.source.run_id, ())
        yield said


async def _told(batch: list[Event]) -> AsyncIterator[list[Event]]:
    yield batch


def _end(run: Run) -> tuple[str, dict[str, object]]:
    if run.state is State.DONE:
        usage = run.usage
        spent = {
            "prompt_tokens": usage.prompt_tokens if usage else 0,
            "completion_tokens": usage.completion_tokens if usage else 0,
        }
        return "done", {"message_id": run.answer_id, "usage": spent}
    if run.state is State.FAILED and run.error is not None:
        return "failed", {"code": run.error.code, "message": run.error.message}
    return "cancelled", {}
