"""The alarm as one-time schedules of EventBridge Scheduler, which call the clock function and delete themselves."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kira.domain.errors import Conflict
from kira.domain.moments import MINUTE, SECOND
from kira.ports.clock import Clock

log = logging.getLogger("kira.clock")

SOON = 10 * SECOND
"""A moment that is nearer may be past before the schedule is made."""


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """The group of schedules, what they call, and the role that may call it."""

    group: str
    target: str
    role: str


class SchedulerAlarm:
    """Keeps the Alarm promise with one call in a minute.

    A schedule is named for its minute, so that two processes that want the same moment make one schedule, and none is
    ever changed: AWS deletes a schedule some time after it fired, and would delete with it what was changed meanwhile.
    """

    def __init__(self, clock: Clock, config: SchedulerConfig, client: Callable[[], Any]) -> None:
        """Make schedules as `config` says; `client` makes the official client, at the first call."""
        self._clock = clock
        self._config = config
        self._make = client
        self._making = threading.Lock()
        self._client: Any = None
        self._next = 0

    async def set(self, moment: int) -> None:
        """Make a schedule for the minute, unless this process knows of one that comes sooner."""
        now = self._clock.now()
        due = -(-max(moment, now + SOON) // MINUTE) * MINUTE
        if now < self._next <= due:
            return
        try:
            await asyncio.to_thread(self._create, datetime.fromtimestamp(due / SECOND, UTC))
        except Exception as error:  # noqa: BLE001 - whichever library it is of: who queues the next run sets it again
            if not _is_made(error):
                log.warning("the alarm cannot be set: %s", error)
                return
        self._next = due

    def _create(self, due: datetime) -> None:
        with self._making:
            self._client = self._client or self._make()
        self._client.create_schedule(
            Name=f"kira-{due:%Y%m%dT%H%M}",
            GroupName=self._config.group,
            ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={"Arn": self._config.target, "RoleArn": self._config.role},
        )


def _is_made(error: Exception) -> bool:
    """Say whether another process made the schedule already."""
    told = getattr(error, "response", {})  # as the official library tells it
    return isinstance(error, Conflict) or told.get("Error", {}).get("Code") == "ConflictException"
