"""A worker on a host that may be taken away: it prepares, works, leaves in time, and says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kira.domain.errors import EngineError
from kira.jobs.line import DEMO
from kira.jobs.worker import Worker
from kira.ports.host import Host, Leave, Load

log = logging.getLogger("kira.worker")


async def work_on(host: Host, worker: Worker, warm: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Let `worker` work on `host` once `warm` is done, until `stop` or until the host is taken away.

    Raises what `warm` raises: a host whose models do not fit is told to be unfit.
    """
    ending, working = asyncio.Event(), asyncio.Event()

    def leave(asked: Leave) -> None:
        log.warning("%s The worker leaves within %.0f s.", asked.reason, asked.seconds)
        worker.stop(asked.seconds)
        ending.set()

    def load() -> Load:
        servers = worker.engine.fleet().servers if working.is_set() else ()
        return Load(sum(server.slots for server in servers if server.name != DEMO), worker.running)

    watching = asyncio.create_task(host.watch(load, leave))
    stopping = asyncio.create_task(_stop(stop, worker, ending))
    try:
        if await _is_warm(warm, ending):
            working.set()
            await worker.run()
        await host.left()
    except EngineError as error:
        await host.unfit(error.message)
        raise
    finally:
        for task in (watching, stopping):
            task.cancel()
        await asyncio.gather(watching, stopping, return_exceptions=True)


async def _stop(stop: asyncio.Event, worker: Worker, ending: asyncio.Event) -> None:
    await stop.wait()
    worker.stop()
    ending.set()


async def _is_warm(warm: Callable[[], Awaitable[None]], ending: asyncio.Event) -> bool:
    """Warm up; False when the worker is to leave before that is done."""
    ended = asyncio.create_task(ending.wait())
    warming = asyncio.ensure_future(warm())
    try:
        await asyncio.wait({ended, warming}, return_when=asyncio.FIRST_COMPLETED)
        if warming.done():
            warming.result()
        return not ending.is_set()
    finally:
        ended.cancel()
        warming.cancel()
        await asyncio.gather(ended, warming, return_exceptions=True)
