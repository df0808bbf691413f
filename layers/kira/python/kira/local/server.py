"""Every area in one app and one worker beside it, in one process, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from kira.domain.accounts import AccountsMode
from kira.domain.errors import Forbidden, KiraError, WrongSetting
from kira.domain.limits import (
    CONNECTIONS_WAITING_MAX,
    MODEL_MISSED_SECONDS,
    PLACES_SECONDS,
    SWEEP_SECONDS,
    UNREADY_SECONDS,
)
from kira.jobs.chores import every
from kira.jobs.clock import Rounds
from kira.jobs.line import Herald
from kira.jobs.telling import Telling
from kira.jobs.worker import Worker
from kira.local import lock
from kira.local.settings import LocalSettings
from kira.local.world import Local
from kira.services.kira import Kira
from kira.web.apps import build
from kira.web.door import Door
from kira.web.files import Dashboard

log = logging.getLogger("kira")

DASHBOARD = Path(__file__).parent / "dashboard"
STREAMS_CLOSE_SECONDS = 1
FIRST_SWEEP_SECONDS = 60
CLOCK_SECONDS = 300
FIRST_BACKUP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Ready:
    """What people are told when Kira answers: its address, and the local token where there are no accounts."""

    address: str
    token: str | None

    @property
    def link(self) -> str:
        """The address to open."""
        return f"{self.address}/?token={self.token}" if self.token else self.address


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: Kira drains first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to Kira."""
        yield


def listen(settings: LocalSettings) -> socket.socket:
    """Bind the port first, so that a busy one is told at once; raises WrongSetting."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            told = f"KIRA_PORT {settings.port} is taken by another program. Stop it, or set KIRA_PORT to another port."
        else:
            told = f"KIRA_HOST {settings.host} port {settings.port} cannot be listened on: {error.strerror}."
        raise WrongSetting(told) from None
    bound.set_inheritable(True)
    return bound


def kira_of(settings: LocalSettings, world: Local, *, alone: bool) -> Kira:
    """Build every service on `world`; `alone` when Kira has one user."""
    roster = world.roster if world.works else None  # without a worker here the engine itself knows them
    return Kira(
        world, settings.accounts, settings.limits(alone=alone), roster=roster, alarm=world.alarm, letters=world.letters
    )


def herald_of(kira: Kira, world: Local) -> Herald:
    """Build what watches the line."""
    missed_s, hosted = MODEL_MISSED_SECONDS if world.shares else 0, frozenset(world.settings.hosted_models)
    return Herald(world.queue, world.stream, world.engine, kira.line, world.roster, world.poll_s, missed_s, hosted)


async def begin_rounds(kira: Kira, world: Local) -> None:
    """Where hints go through SQS, look now for those that were lost, and then while there are runs."""
    if world.alarm is not None:
        herald = herald_of(kira, world)
        rounds = Rounds(world.queue, herald, world.roster, world.clock, world.alarm, [kira.sessions.sweep])

        async def go() -> None:
            await world.engine.looked()  # before that nobody has any model, and all that wait would seem hopeless
            await rounds.go()

        world.alarm.wakes(go)
        await world.alarm.set(world.clock.now())


def worker_of(kira: Kira, world: Local) -> Worker:
    """Build the worker on Kira's world."""
    herald = herald_of(kira, world)
    telling = Telling(world.stream)
    return Worker(kira.answering, world.engine, world.queue, herald, telling, world.settings.grace_s)


async def is_alone(world: Local, settings: LocalSettings) -> bool:
    """Say whether Kira has one user: accounts are off and none was added."""
    kira = Kira(world, settings.accounts)
    return (await kira.accounts.options()).accounts is AccountsMode.OFF


async def serve(settings: LocalSettings, told: Callable[[Ready, Kira], None], *, with_worker: bool = True) -> None:
    """Serve until SIGTERM or SIGINT, then drain; `told` is called once Kira answers.

    Raises WrongSetting when a setting cannot work.
    """
    with contextlib.closing(listen(settings)) as bound, lock.share(settings.data) as share:
        world = Local(settings, shares=not with_worker, works=with_worker)
        try:
            await world.check()
            kira = kira_of(settings, world, alone=await is_alone(world, settings))
            token = await _local_token(kira)
            app = build(kira, pages=Dashboard(DASHBOARD))
            server = _Server(_config(Door(app), settings))
            serving = asyncio.create_task(server.serve([bound]))
            await _until_started(server, serving)
            ready = Ready(_address(bound, settings.host), token)
            stop = on_signals()
            share.tell(ready.address)
            told(ready, kira)
            await world.listen(kira.line)
            await _until_told_to_stop(stop, kira, world, app, serving)
            share.tell("")
            server.should_exit = True
            await serving
        finally:
            await world.close()


async def _until_told_to_stop(
    stop: asyncio.Event, kira: Kira, world: Local, app: FastAPI, serving: asyncio.Task[None]
) -> None:
    """Work until `stop`, then drain; readers see the end of what is finished meanwhile."""
    chores = [
        asyncio.create_task(every(SWEEP_SECONDS, kira.sessions.sweep, first_s=FIRST_SWEEP_SECONDS)),
        asyncio.create_task(every(CLOCK_SECONDS, world.set_clock)),
    ]
    if world.schedule is not None:
        look_s = world.schedule.look_s
        chores.append(
            asyncio.create_task(every(look_s, world.schedule.look, first_s=min(look_s, FIRST_BACKUP_SECONDS)))
        )
    await begin_rounds(kira, world)
    # The engine's libraries are loaded after the first answer: nobody waits for them before that.
    worker = worker_of(kira, world) if world.works else None
    if worker is None:
        await world.engine.start()
        chores.append(asyncio.create_task(every(PLACES_SECONDS, herald_of(kira, world).look)))
    working = asyncio.create_task(worker.run()) if worker else None
    await _until(stop, serving, working)
    app.state.unready = "Kira is stopping. It will be back shortly."
    noticed = asyncio.create_task(asyncio.sleep(UNREADY_SECONDS if world.settings.proxies else 0))
    if worker and working:
        worker.stop()
        await working
    await noticed
    for chore in chores:
        chore.cancel()


def _config(door: Door, settings: LocalSettings) -> uvicorn.Config:
    return uvicorn.Config(
        door,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.proxies is not None,
        forwarded_allow_ips=settings.proxies or "",
        lifespan="off",
        backlog=CONNECTIONS_WAITING_MAX,
        timeout_graceful_shutdown=STREAMS_CLOSE_SECONDS,
        timeout_keep_alive=75,
    )


async def _local_token(kira: Kira) -> str | None:
    try:
        await kira.accounts.local_user()
    except Forbidden:
        return None
    return kira.tokens.local()


def on_signals() -> asyncio.Event:
    """Return what is set once SIGTERM or SIGINT came."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise KiraError("Kira's web server did not start.")
        await asyncio.sleep(0.005)


async def _until(stop: asyncio.Event, *tasks: asyncio.Task[None] | None) -> None:
    """Wait for a signal, or for the end of a task that should not end: then its error is raised."""
    stopped = asyncio.create_task(stop.wait())
    watched = [task for task in tasks if task is not None]
    await asyncio.wait([stopped, *watched], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in watched:
        if task.done():
            task.result()


def _address(bound: socket.socket, host: str) -> str:
    port = bound.getsockname()[1]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - it is what was asked for
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
