"""The worker: takes waiting runs while there are free slots, and hands them back when told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kira.domain.errors import KiraError
from kira.domain.limits import (
    CANCEL_POLL_SECONDS,
    DRAIN_SECONDS,
    LEASE_RENEWAL_SECONDS,
    PLACES_SECONDS,
    RECOVERY_SECONDS,
    WORKER_TELLS_SECONDS,
)
from kira.domain.runs import Claim
from kira.jobs.chores import every
from kira.jobs.hands import Hands, is_alive, process_name
from kira.jobs.line import DEMO, Herald
from kira.jobs.reply import Reply
from kira.jobs.telling import Telling
from kira.ports.engine import Engine, Room
from kira.ports.queue import Queue
from kira.services.answering import Answering

log = logging.getLogger("kira.worker")

POLL_SECONDS = 1.0
"""How long a lost hint may delay a run of another process."""

LOOK_SECONDS = 0.5
"""How soon a worker that finishes its answers hears that it has less time than it was told."""


@dataclass(slots=True)
class Worker:
    """Claims runs and works on them until `stop`."""

    answering: Answering
    engine: Engine
    queue: Queue
    herald: Herald
    telling: Telling
    grace_s: float = DRAIN_SECONDS
    name: str = field(default_factory=lambda: process_name(os.getpid()))
    _hands: Hands = field(init=False)
    _free: int = 0
    _drain_until: float | None = None

    def __post_init__(self) -> None:
        """Begin with empty hands."""
        self._hands = Hands(self.queue, self.name)

    async def run(self) -> None:
        """Work until `stop`; then finish or hand back what is going."""
        await self.engine.start()
        with contextlib.suppress(KiraError):  # the herald counts again soon
            self.herald.line.waiting = max(self.herald.line.waiting, len(await self.queue.places()))
        chores = [
            asyncio.create_task(every(CANCEL_POLL_SECONDS, self._hands.stop_cancelled)),
            asyncio.create_task(every(LEASE_RENEWAL_SECONDS, self._hands.renew)),
            asyncio.create_task(every(max(RECOVERY_SECONDS, self.herald.look_s), self._recover)),
            asyncio.create_task(self._watch_engine()),
            asyncio.create_task(every(PLACES_SECONDS, self.herald.look)),
            asyncio.create_task(every(WORKER_TELLS_SECONDS, self._tell)),
        ]
        try:
            while self._drain_until is None:
                try:
                    await self._take()
                except KiraError as error:
                    log.warning("no run could be taken: %s", error.message)
                    await asyncio.sleep(POLL_SECONDS)
                if await self.queue.wait(min(POLL_SECONDS, self.herald.look_s), self._free):
                    self.herald.line.waiting = max(1, self.herald.line.waiting)
            await self._drain()
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            if self.herald.roster is not None:
                with contextlib.suppress(KiraError):  # a row that stays is soon not fresh
                    await self.herald.roster.leave()
            await self.engine.close()

    def stop(self, seconds: float | None = None) -> None:
        """Take no more runs; `run` returns when those that are going have ended or were handed back.

        They may take `seconds` from now, or else the grace; whoever says less later is heard.
        """
        until = time.monotonic() + (self.grace_s if seconds is None else seconds)
        self._drain_until = until if self._drain_until is None else min(until, self._drain_until)
        self.queue.wake()

    @property
    def running(self) -> int:
        """How many runs are going."""
        return len(self._hands)

    async def _take(self) -> None:
        starting: dict[str, int] = {}
        for reply in self._hands.replies:
            if reply.task is None:  # it holds no slot at the engine yet
                starting[reply.claim.model] = starting.get(reply.claim.model, 0) + 1
        rooms = sorted(self.engine.room(), key=lambda room: not room.loaded)
        room = {each.model: each.free - starting.get(each.model, 0) for each in rooms}
        self._free = self._spare(room)
        line = self.herald.line
        line.free = max(0, self._free)
        if not line.waiting and not self.herald.is_due:
            return
        claims = await self.queue.receive(room, self.name, self._loaded_elsewhere(rooms))
        line.waiting = max(len(claims) and 1, line.waiting - len(claims))  # the herald counts them soon
        for claim in claims:
            room[claim.model] = room.get(claim.model, 0) - 1
            self._begin(claim)
        line.free = max(0, self._spare(room))

    def _spare(self, room: Mapping[str, int]) -> int:
        """Return how many further runs may begin; the demo model always has room, which counts where it is all."""
        is_all = self.engine.fleet().default == DEMO
        return max((free for model, free in room.items() if is_all or model != DEMO), default=0)

    def _loaded_elsewhere(self, rooms: Sequence[Room]) -> set[str]:
        """Return the models that would have to be loaded here, while another worker has them loaded."""
        if self.herald.roster is None:
            return set()
        loaded = {model.name for fleet in self.herald.roster.others for model in fleet.models if model.loaded}
        return {room.model for room in rooms if not room.loaded} & loaded

    def _begin(self, claim: Claim) -> None:
        # After a sleep of this computer: the lease had expired, and the run is ours again.
        self._hands.cancel(claim.run_id, None)
        reply = Reply(claim, self.answering, self.engine, self.queue, self.telling)
        self._hands.take(reply, asyncio.create_task(self._work(reply)))
        self.herald.begins(claim.run_id)

    async def _work(self, reply: Reply) -> None:
        began = time.monotonic()
        try:
            await reply.work()
            if reply.finished is not None:
                self.herald.line.took(time.monotonic() - began)
            if reply.ended.title_run is not None:
                self.herald.line.joined()
                await self.queue.send(reply.claim.user_id, reply.ended.title_run, reply.claim.model)
        except Exception:  # a defect of ours must not end the worker; the run goes again, and fails in the end
            log.exception("run %s stopped by a defect", reply.claim.run_id)
            await reply.broke()
        finally:
            if self._hands.let_go(reply):
                self.herald.leaves(reply.claim.run_id)
            if reply.is_handed_back:
                self.herald.line.joined()
            self.queue.done(reply.claim)
            self.queue.wake()

    async def _tell(self) -> None:
        if self.herald.roster is not None:
            await self.engine.looked()
            await self.herald.roster.tell(self.engine.fleet())

    async def _recover(self) -> None:
        await self.herald.tell_lost(await self.queue.recover(is_alive))

    async def _drain(self) -> None:
        closing = asyncio.create_task(self.queue.close())
        tasks = self._hands.tasks
        if tasks:
            log.info("finishing %d runs, at most %.0f s", len(tasks), self._seconds_left)
        while tasks and self._seconds_left:
            _, tasks = await asyncio.wait(tasks, timeout=min(LOOK_SECONDS, self._seconds_left))
        await self._hands.hand_back()
        await closing

    @property
    def _seconds_left(self) -> float:
        return max(0.0, (self._drain_until or 0.0) - time.monotonic())

    async def _watch_engine(self) -> None:
        while True:
            await self.engine.changed()
            self.queue.wake()
