"""The worker: takes waiting runs while there are free slots, and hands them back when told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from kira.domain.errors import KiraError
from kira.domain.limits import (
    CANCEL_POLL_SECONDS,
    DRAIN_SECONDS,
    LEASE_RENEWAL_SECONDS,
    PLACES_SECONDS,
    RECOVERY_SECONDS,
)
from kira.domain.runs import Claim, State
from kira.jobs.chores import every
from kira.jobs.line import Herald
from kira.jobs.reply import Reply
from kira.jobs.telling import Telling
from kira.ports.engine import Engine
from kira.ports.queue import Queue
from kira.services.answering import Answering

log = logging.getLogger("kira.worker")

POLL_SECONDS = 1.0
"""How long a lost hint may delay a run of another process."""


@dataclass(slots=True)
class Worker:
    """Claims runs and works on them until `stop`."""

    answering: Answering
    engine: Engine
    queue: Queue
    herald: Herald
    telling: Telling
    grace_s: float = DRAIN_SECONDS
    name: str = field(default_factory=lambda: name_of(os.getpid()))
    _replies: dict[str, tuple[Reply, asyncio.Task[None]]] = field(default_factory=dict)
    _stopping: bool = False

    async def run(self) -> None:
        """Work until `stop`; then finish or hand back what is going."""
        await self.engine.start()
        with contextlib.suppress(KiraError):  # the herald counts again soon
            self.herald.line.waiting = max(self.herald.line.waiting, len(await self.queue.places()))
        chores = [
            asyncio.create_task(every(CANCEL_POLL_SECONDS, self._stop_cancelled)),
            asyncio.create_task(every(LEASE_RENEWAL_SECONDS, self._renew)),
            asyncio.create_task(every(RECOVERY_SECONDS, self._recover)),
            asyncio.create_task(self._watch_engine()),
            asyncio.create_task(every(PLACES_SECONDS, self.herald.look)),
        ]
        try:
            while not self._stopping:
                try:
                    await self._take()
                except KiraError as error:
                    log.warning("no run could be taken: %s", error.message)
                    await asyncio.sleep(POLL_SECONDS)
                await self.queue.wait(POLL_SECONDS)
            await self._drain()
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await self.engine.close()

    def stop(self) -> None:
        """Take no more runs; `run` returns when those that are going have ended or were handed back."""
        self._stopping = True
        self.queue.send()

    @property
    def running(self) -> int:
        """How many runs are going."""
        return len(self._replies)

    async def _take(self) -> None:
        starting: dict[str, int] = {}
        for reply, _ in self._replies.values():
            if reply.task is None:  # it holds no slot at the engine yet
                starting[reply.claim.model] = starting.get(reply.claim.model, 0) + 1
        rooms = sorted(self.engine.room(), key=lambda room: not room.loaded)
        room = {each.model: each.free - starting.get(each.model, 0) for each in rooms}
        self.herald.line.free = max(0, *room.values()) if room else 0
        line = self.herald.line
        if not line.waiting and not self.herald.is_due:
            return
        claims = await self.queue.receive(room, self.name)
        line.waiting = max(len(claims) and 1, line.waiting - len(claims))  # the herald counts them soon
        for claim in claims:
            self._begin(claim)

    def _begin(self, claim: Claim) -> None:
        self._cancel(claim.run_id, None)  # after a sleep of this computer: the lease expired, and the run is ours again
        reply = Reply(claim, self.answering, self.engine, self.queue, self.telling)
        task = asyncio.create_task(self._work(reply))
        self._replies[claim.run_id] = (reply, task)

    async def _work(self, reply: Reply) -> None:
        began = time.monotonic()
        try:
            await reply.work()
            if reply.finished is not None:
                self.herald.line.took(time.monotonic() - began)
        except Exception:  # a defect of ours must not end the worker; the run goes again, and fails in the end
            log.exception("run %s stopped by a defect", reply.claim.run_id)
            await reply.broke()
        finally:
            held = self._replies.get(reply.claim.run_id)
            if held is not None and held[0] is reply:
                del self._replies[reply.claim.run_id]
            if reply.is_handed_back or (reply.task is not None and reply.task.is_untitled):
                self.herald.line.joined()  # the run itself, or the run that makes the title
            self.queue.send()

    async def _stop_cancelled(self) -> None:
        if not self._replies:
            return
        for run_id in await self.queue.stops(self.name, CANCEL_POLL_SECONDS):
            self._cancel(run_id, State.CANCELLED)

    async def _renew(self) -> None:
        claims = [reply.claim for reply, _ in self._replies.values()]
        for run_id in await self.queue.extend(claims):
            self._cancel(run_id, None)

    async def _recover(self) -> None:
        await self.herald.tell_lost(await self.queue.recover(is_alive))

    def _cancel(self, run_id: str, stop: State | None) -> None:
        held = self._replies.get(run_id)
        if held is not None and not held[0].is_ending:
            held[0].stop = stop
            held[1].cancel()

    async def _drain(self) -> None:
        tasks = [task for _, task in self._replies.values()]
        if tasks:
            log.info("finishing %d runs, at most %.0f s", len(tasks), self.grace_s)
            await asyncio.wait(tasks, timeout=self.grace_s)
        for run_id in list(self._replies):
            self._cancel(run_id, State.QUEUED)
        await asyncio.gather(*(task for _, task in self._replies.values()), return_exceptions=True)

    async def _watch_engine(self) -> None:
        while True:
            await self.engine.changed()
            self.queue.send()


def name_of(pid: int) -> str:
    """Return the name of the worker in process `pid`: host, pid and start time, so that a reused pid differs."""
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def is_alive(worker: str) -> bool:
    """Say whether the process of `worker` runs; one on another host is believed until its lease expires."""
    host, _, rest = worker.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname():
        return True
    return name_of(int(rest)) == worker


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "-" if Path("/proc/self").exists() else "0"
    return stat.rpartition(")")[2].split()[19]  # field 22 of proc(5): ticks after boot
