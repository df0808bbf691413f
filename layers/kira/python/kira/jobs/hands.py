"""Hands: the runs that one process works on under its name, kept from others while they go, and stopped."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from pathlib import Path

from kira.domain.limits import CANCEL_POLL_SECONDS
from kira.domain.runs import State
from kira.jobs.reply import Reply
from kira.ports.queue import Queue


@dataclass(slots=True)
class Hands:
    """What the process called `name` took from `queue`, each run with the task that works on it."""

    queue: Queue
    name: str
    _held: dict[str, tuple[Reply, asyncio.Task[None]]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many runs are going."""
        return len(self._held)

    @property
    def replies(self) -> list[Reply]:
        """What is worked on."""
        return [reply for reply, _ in self._held.values()]

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks that work on it."""
        return {task for _, task in self._held.values()}

    def take(self, reply: Reply, task: asyncio.Task[None]) -> None:
        """Hold a run until it is let go."""
        self._held[reply.claim.run_id] = (reply, task)

    def let_go(self, reply: Reply) -> bool:
        """Hold this reply no longer; False when its run is held by another one meanwhile, or by none."""
        held = self._held.get(reply.claim.run_id)
        if held is None or held[0] is not reply:
            return False
        del self._held[reply.claim.run_id]
        return True

    async def renew(self) -> None:
        """Renew the leases; a run whose lease was lost is somebody else's, and stops here."""
        for run_id in await self.queue.extend([reply.claim for reply in self.replies]):
            self.cancel(run_id, None)

    async def stop_cancelled(self) -> None:
        """Stop what users asked to stop."""
        if self._held:
            for run_id in await self.queue.stops(self.name, CANCEL_POLL_SECONDS):
                self.cancel(run_id, State.CANCELLED)

    def cancel(self, run_id: str, stop: State | None) -> None:
        """Stop one run, for the reason `stop`, unless its end is being written."""
        held = self._held.get(run_id)
        if held is not None and not held[0].is_ending:
            held[0].stop = stop
            held[1].cancel()

    async def hand_back(self) -> None:
        """Stop everything, so that others may go on with it, and wait until it has stopped."""
        tasks = self.tasks
        for run_id in list(self._held):
            self.cancel(run_id, State.QUEUED)
        await asyncio.gather(*tasks, return_exceptions=True)


def process_name(pid: int) -> str:
    """Return the name under which process `pid` takes runs: host, pid and start time, so that a reused pid differs."""
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def is_alive(worker: str) -> bool:
    """Say whether the process of `worker` runs; one on another host is believed until its lease expires."""
    host, _, rest = worker.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname():
        return True
    return process_name(int(rest)) == worker


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "-" if Path("/proc/self").exists() else "0"
    return stat.rpartition(")")[2].split()[19]  # field 22 of proc(5): ticks after boot
