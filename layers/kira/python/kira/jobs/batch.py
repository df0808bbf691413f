"""A batch: as many runs as there are hints, for a process that is started for them and may not stay long."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass, field

from kira.domain.limits import (
    BATCH_BEGIN_SECONDS,
    CANCEL_POLL_SECONDS,
    HOSTED_RUN_SECONDS_MAX,
    LEASE_RENEWAL_SECONDS,
)
from kira.jobs.chores import every
from kira.jobs.hands import Hands, process_name
from kira.jobs.reply import Reply
from kira.jobs.telling import Telling
from kira.ports.engine import Engine
from kira.ports.queue import Queue
from kira.services.answering import Answering

log = logging.getLogger("kira.worker")

REST_SECONDS_MAX = 60
"""How long is waited at the end for a provider that wants a rest, so that the next batch does not run into it."""


@dataclass(slots=True)
class Batch:
    """Claims runs while hints are left, works on them, and hands back in time what does not get done."""

    answering: Answering
    engine: Engine
    queue: Queue
    telling: Telling
    begin_s: float = BATCH_BEGIN_SECONDS
    name: str = field(default_factory=lambda: process_name(os.getpid()))
    _hands: Hands = field(init=False)

    def __post_init__(self) -> None:
        """Begin with empty hands."""
        self._hands = Hands(self.queue, self.name)

    async def work(self, hints: int, seconds: float) -> int:
        """Work for at most `seconds`; return how many of `hints` are still to be followed by somebody.

        A hint is permission to look: when nothing waits any more, what is left of them was late or doubled.
        Raises KiraError when the queue cannot be asked before anything was claimed.
        """
        ends = time.monotonic() + seconds
        chores = [
            asyncio.create_task(every(LEASE_RENEWAL_SECONDS, self._hands.renew)),
            asyncio.create_task(every(CANCEL_POLL_SECONDS, self._hands.stop_cancelled)),
        ]
        try:
            while (hints or self._hands) and time.monotonic() < ends:
                if ends - time.monotonic() >= self.begin_s:
                    hints = await self._take(hints)
                if not await self._wait(ends - time.monotonic(), hints):
                    break
        finally:
            await self._hands.hand_back()
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
        return hints

    async def _take(self, hints: int) -> int:
        """Begin as many runs as there are hints and slots; return how many hints are left."""
        starting = sum(reply.task is None for reply in self._hands.replies)
        for room in self.engine.room():
            free = min(hints, room.free - starting)
            if free < 1:
                continue
            claims = await self.queue.receive({room.model: free}, self.name)
            for claim in claims:
                reply = Reply(claim, self.answering, self.engine, self.queue, self.telling, HOSTED_RUN_SECONDS_MAX)
                self._hands.take(reply, asyncio.create_task(self._work(reply)))
            hints -= len(claims)
            starting += len(claims)
        if self.engine.room() and not starting:
            return 0
        return hints

    async def _wait(self, seconds: float, hints: int) -> bool:
        """Return when something changed; False when there is nothing to wait for."""
        tasks = self._hands.tasks
        if not tasks and (self.engine.room() or not hints):
            return False
        changed = asyncio.create_task(self.engine.changed())
        try:
            timeout = max(0.0, seconds if tasks else min(seconds, REST_SECONDS_MAX))
            await asyncio.wait({*tasks, changed}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        return True

    async def _work(self, reply: Reply) -> None:
        claim = reply.claim
        try:
            await reply.work()
            if reply.ended.title_run is not None:
                await self.queue.send(claim.user_id, reply.ended.title_run, claim.model)
        except Exception:  # a defect of ours must not end the others; the run goes again, and fails in the end
            log.exception("run %s stopped by a defect", claim.run_id)
            await reply.broke()
        finally:
            self._hands.let_go(reply)
            self.queue.done(claim)
