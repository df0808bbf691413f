"""The third home for the suites that ask Kira over HTTP: the front door of a rehearsal, emptied for every test."""

from __future__ import annotations

import asyncio
import atexit
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import psycopg
from tests.homes import TABLES
from tests.rehearsal.fleet import settings_of
from tests.rehearsal.rig import Rehearsal, rehearsal

from kira.adapters.queue.sqs import SqsConfig, SqsQueue
from kira.domain.accounts import AccountsMode
from kira.domain.limits import DEFAULTS, WORKER_TELLS_SECONDS, Limit
from kira.jobs.chores import every
from kira.local.server import kira_of, worker_of
from kira.local.settings import LocalSettings
from kira.local.world import Local
from kira.services.kira import Kira
from kira.testing.serving import Plan, Served
from kira.web.apps import build
from kira.web.door import Door

DATABASE = "kira"
WAKES_SECONDS = 0.5


@cache
def of_process() -> Rehearsal:
    """Return the rehearsal of this test process; nobody works on runs there yet."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kira-aws-")))
    return stack.enter_context(rehearsal(folder))


@asynccontextmanager
async def serve(folder: Path, plan: Plan | None = None, *, again: bool = False) -> AsyncIterator[Served]:
    """Serve what `plan` says as AWS would, with accounts open to anybody, until the block ends.

    The database is empty unless `again`: then it is a day later, when nobody keeps what runs said. What `plan` says of
    the clock and the dashboard has no meaning there.
    """
    plan, found = plan or Plan(), of_process()
    for each in found.workers:  # whom another suite of this process left
        each.stop()
    were_said = empty(found, *(["run_events"] if again else TABLES))
    # Functions remember for a while which models there are, and what runs said.
    known = object() if again and were_said else type(plan.engine)
    found.functions.configure(environment_of(plan.limits), known)
    told = settings_of(found.deployed, found.gate, found.authority.file)
    world = Local(_settings(told, folder), shares=True)
    vars(world)["engine"] = plan.engine
    sqs = _client(told)
    vars(world)["queue"] = SqsQueue(world.database, world.clock, SqsConfig(told["KIRA_QUEUE"]), lambda: sqs)
    kira = kira_of(world.settings, world, alone=False)
    app = build(kira)
    try:
        async with _working(kira, world, found) if plan.works else _told_of(world):
            yield Served(found.address, kira, app, Door(app))
    finally:
        await world.close()


@asynccontextmanager
async def _working(kira: Kira, world: Local, found: Rehearsal) -> AsyncIterator[None]:
    await world.listen(kira.line)
    worker = worker_of(kira, world)
    worker.herald.missed_s = 0  # no other worker comes, whom runs would wait for
    working = asyncio.create_task(worker.run())
    try:
        while not _has_workers():  # before that nobody has any model
            await asyncio.sleep(0.01)
        yield
    finally:
        worker.stop()
        # Whoever waits for a hint would wait for some seconds; a hint about nothing ends that.
        queue, client = str(world.settings.queue), found.moto.client("sqs")
        while not working.done():
            await asyncio.to_thread(client.send_message, QueueUrl=queue, MessageBody="-", MessageGroupId="-")
            await asyncio.wait((working,), timeout=WAKES_SECONDS)
        await working


@asynccontextmanager
async def _told_of(world: Local) -> AsyncIterator[None]:
    """Let functions know the models of a worker who takes no run."""
    await world.engine.start()
    await world.roster.tell(world.engine.fleet())
    telling = asyncio.create_task(
        every(WORKER_TELLS_SECONDS, lambda: world.roster.tell(world.engine.fleet()), first_s=WORKER_TELLS_SECONDS)
    )
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait((telling,))
        await world.roster.leave()


def empty(found: Rehearsal, *tables: str, database: str = DATABASE) -> int:
    """Let no row be left in `tables`, or anywhere; return how many there were. Hints about what is gone do no harm."""
    with psycopg.connect(found.cluster.own(database), autocommit=True) as connection:
        return sum(connection.execute(f"DELETE FROM kira.{table}".encode()).rowcount for table in tables or TABLES)


def _has_workers() -> bool:
    with psycopg.connect(of_process().cluster.own(DATABASE)) as connection:
        return connection.execute("SELECT 1 FROM kira.workers").fetchone() is not None


def environment_of(limits: tuple[Limit, ...]) -> Mapping[str, str]:
    """Return the environment in which only `limits` are on, and nobody but the worker has models."""
    on = {limit.name: f"{limit.count}/{limit.period // 1_000_000}s" for limit in limits}
    limited = {f"KIRA_LIMIT_{name.upper()}": on.get(name, "off") for name in DEFAULTS}
    return limited | {"KIRA_HOSTED": "", "KIRA_HOSTED_MODELS": ""}


def _settings(told: Mapping[str, str], folder: Path) -> LocalSettings:
    """Return the settings of a worker of the fleet."""
    names = ("database", "master_key", "queue", "stream")
    own = {name: told[f"KIRA_{name.upper()}"] for name in names}
    return LocalSettings.model_validate({**own, "data": folder / "worker", "accounts": AccountsMode.OPEN, "grace_s": 0})


def _client(told: Mapping[str, str]) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=told["AWS_ENDPOINT_URL"],
        region_name=told["AWS_REGION"],
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
    )
