"""Functions that nobody calls: one that SQS starts for runs of hosted models, and one that the alarm wakes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from kira.cloud.settings import CloudSettings, read
from kira.cloud.telling import Voice
from kira.cloud.world import Cloud, Handler
from kira.domain.errors import KiraError
from kira.domain.limits import BATCH_END_SECONDS
from kira.jobs.batch import Batch
from kira.jobs.clock import Rounds
from kira.jobs.line import Herald
from kira.jobs.telling import Telling
from kira.services.kira import Kira

log = logging.getLogger("kira.function")

Event = dict[str, Any]
Work = Callable[[Event, float], Awaitable[Event]]
"""Takes an event and how many seconds there are; returns the answer."""


@dataclass(slots=True)
class Worked:
    """The handler: one loop and one world for as long as its environment lives."""

    world: Cloud
    voice: Voice
    work: Work
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __call__(self, event: Event, context: Any) -> Event:
        """Work on one event."""
        self.voice.begins(context)
        seconds = context.get_remaining_time_in_millis() / 1000 - BATCH_END_SECONDS
        try:
            return self.loop.run_until_complete(self._work(event, max(seconds, 1.0)))
        finally:
            self.voice.ends()

    async def _work(self, event: Event, seconds: float) -> Event:
        try:
            return await self.work(event, seconds)
        finally:
            await self.world.settle()


def consume() -> Handler:
    """Return the handler of a batch of hints for hosted models. Raises WrongSetting."""
    settings, voice, world = _built("hosted", "hosted_models")
    kira = Kira(world, settings.accounts, settings.limits)

    async def work(event: Event, seconds: float) -> Event:
        records = event["Records"]
        batch = Batch(kira.answering, world.hosted, world.queue, Telling(world.stream))
        try:
            left = await batch.work(len(records), seconds)
        except KiraError as error:
            log.warning("no run could be taken: %s", error.message)
            left = len(records)
        voice.counts(Hints=len(records), HintsLeft=left)
        # Whichever are named: a hint is permission to look, and these come again.
        return {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in records[len(records) - left :]]}

    return world.traced(Worked(world, voice, work))


def on_clock() -> Handler:
    """Return the handler of the alarm: it does what is due and sets the next alarm. Raises WrongSetting."""
    settings, voice, world = _built("alarm_group", "alarm_target", "alarm_role")
    kira = Kira(world, settings.accounts, settings.limits, world.line)
    assert world.alarm is not None  # noqa: S101 - its settings are there
    herald = Herald(world.queue, world.stream, world.engine, world.line, world.roster, hosted=settings.hosted_models)
    sweeps = [kira.sessions.sweep, world.stream.sweep]
    rounds = Rounds(world.queue, herald, world.roster, world.clock, world.alarm, sweeps)

    async def work(_: Event, __: float) -> Event:
        await world.engine.looked()
        open_runs = await rounds.go()
        voice.counts(RunsOpen=open_runs)
        return {"open": open_runs}

    return world.traced(Worked(world, voice, work))


def _built(*needed: str) -> tuple[CloudSettings, Voice, Cloud]:
    settings = read()
    settings.need("database_host", "master_key_secret", *needed)
    return settings, Voice(settings), Cloud(settings)
