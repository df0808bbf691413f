"""The instance: listens to EC2 and to its group, and tells both how the worker is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from kira.adapters.host.ec2.config import Ec2Config
from kira.adapters.host.ec2.group import Group
from kira.adapters.host.ec2.metadata import Metadata
from kira.adapters.host.ec2.meter import Meter
from kira.ports.host import Leave, Load

log = logging.getLogger("kira.host")

INTERRUPTION = "spot/instance-action"
REBALANCE = "events/recommendations/rebalance"
TARGET = "autoscaling/target-lifecycle-state"
LEAST_SECONDS = 1
"""How much sooner the end must be than was said, to be told again."""


class Ec2Host:
    """Keeps the Host promise on an instance of an Auto Scaling group."""

    def __init__(self, config: Ec2Config) -> None:
        """Ask nobody yet."""
        self._config = config
        self._metadata = Metadata(config.metadata, config.answer)
        self._group = Group(config.fleet, self._metadata)
        self._meter = Meter()
        self._ends_at: float | None = None
        self._is_at_risk = False
        self._is_protected: bool | None = None
        self._busy_at = 0.0
        self._due: dict[str, float] = {}

    async def watch(self, load: Callable[[], Load], leave: Callable[[Leave], None]) -> None:
        """Look and tell until cancelled; the two do not wait for each other."""
        self._busy_at = _now()
        self._due = {"measure": _now() + self._config.metrics}
        async with asyncio.TaskGroup() as both:
            both.create_task(self._again(lambda: self._look(leave)))
            both.create_task(self._again(lambda: self._tell(load())))

    async def left(self) -> None:
        """Let the group have the instance, and end the wait of its hook where it is on its way out."""
        if self._is_protected:
            await self._protect(on=False)
        if self._ends_at is not None and self._config.hook is not None:
            await self._group.complete(self._config.hook)

    async def unfit(self, reason: str) -> None:
        """Ask the group for another instance."""
        log.error("This instance is to be replaced: %s", reason)
        await self._group.replace()

    async def close(self) -> None:
        """Close the connection to EC2."""
        await self._metadata.close()

    async def _again(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except Exception:  # a defect here must not end a worker that answers
                log.exception("the host could not be watched; it is tried again")
            await asyncio.sleep(self._config.look)

    async def _look(self, leave: Callable[[Leave], None]) -> None:
        interruption, target, advice = await asyncio.gather(
            *map(self._metadata.read, (INTERRUPTION, TARGET, REBALANCE))
        )
        if interruption is not None:
            seconds = min(self._config.spot, _seconds_until(interruption) - self._config.spare)
            self._leave(Leave("EC2 takes this spot instance back.", max(0.0, seconds)), leave)
        elif target == "Terminated":
            self._leave(Leave("The Auto Scaling group gives this instance back.", self._config.drain), leave)
        if advice is not None and not self._is_at_risk:
            self._is_at_risk = True
            log.warning("EC2 may soon take this spot instance back; the group may replace it before.")

    def _leave(self, asked: Leave, leave: Callable[[Leave], None]) -> None:
        ends_at = _now() + asked.seconds
        if self._ends_at is None or ends_at < self._ends_at - LEAST_SECONDS:
            self._ends_at = ends_at
            leave(asked)

    async def _tell(self, load: Load) -> None:
        self._meter.add(load)
        if self._is_due("measure", self._config.metrics):
            await self._group.measure(self._meter.read())
        if load.running:
            self._busy_at = _now()
        if self._ends_at is None:
            await self._keep(is_busy=load.running > 0)
        elif self._config.hook is not None and self._is_due("beat", self._config.heartbeat):
            await self._group.beat(self._config.hook)

    async def _keep(self, *, is_busy: bool) -> None:
        """Have the instance protected while it is busy: not at once off, and never where EC2 wants it anyway."""
        wants = is_busy and not self._is_at_risk
        rested = self._is_at_risk or _now() - self._busy_at >= self._config.idle
        if wants is not self._is_protected and (wants or rested) and self._is_due("protect", self._config.protection):
            await self._protect(on=wants)

    async def _protect(self, *, on: bool) -> None:
        if await self._group.protect(on=on):
            self._is_protected = on

    def _is_due(self, name: str, every_s: float) -> bool:
        """Say whether `name` was last due `every_s` ago; from now on it is due again after that time."""
        if _now() < self._due.get(name, 0.0):
            return False
        self._due[name] = _now() + every_s
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()


def _seconds_until(interruption: str) -> float:
    """Return the seconds until a notice such as {"action": "terminate", "time": "2026-11-25T08:22:00Z"} comes true."""
    try:
        at = datetime.fromisoformat(json.loads(interruption)["time"])
        return (at - datetime.now(UTC)).total_seconds()
    except (ValueError, KeyError, TypeError):
        return 120.0  # what EC2 promises
