"""One worker without dashboard and API, until it is told to stop or its host is taken away."""

from __future__ import annotations

import asyncio

from kira.jobs.chores import every
from kira.jobs.hosted import work_on
from kira.local import lock
from kira.local.server import CLOCK_SECONDS, kira_of, on_signals, worker_of
from kira.local.settings import LocalSettings
from kira.local.world import Local


async def work(settings: LocalSettings) -> None:
    """Only work on runs, until SIGTERM or SIGINT or until the host is taken away, then drain."""
    with lock.share(settings.data):
        world = Local(settings, shares=True)
        try:
            await world.check()
            kira = kira_of(settings, world, alone=True)
            await world.listen(kira.line)
            setting = asyncio.create_task(every(CLOCK_SECONDS, world.set_clock))
            await work_on(world.host, worker_of(kira, world), world.warm, on_signals())
            setting.cancel()
        finally:
            await world.close()
