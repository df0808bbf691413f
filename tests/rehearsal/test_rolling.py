"""A new version replaces the old one under load, function by function and worker by worker: nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.browser.rig import models_up
from tests.hosts.traffic import Traffic, traffic
from tests.hosts.users import Reading, Visitor, visitor
from tests.rehearsal.cloud.assembly import read
from tests.rehearsal.faults import timeout_of
from tests.rehearsal.fleet import Worker, unpacked
from tests.rehearsal.host.sandbox import Sandbox
from tests.rehearsal.rig import CONTEXT, NO_LIMITS, Rehearsal, rehearsal, triggers
from tests.rehearsal.synth import synthesised

from kira.adapters.database.postgres.steps import steps

NEW_STEP = steps()[-1].number + 1
STEP = f"""-- What the next version brings.
-- since {NEW_STEP - 1}
ALTER TABLE conversations ADD COLUMN rehearsed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE rehearsed (user_id TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (user_id, id));
SELECT protect('rehearsed');
"""
RATE = 40
"""Words of an answer in a second."""
LONG = " ".join(f"long{number}" for number in range(RATE * 5))
SHORT = "one of a hosted model"
STREAM_S = 3
"""How long a function may hold a stream here: less than a long answer takes, as 15 minutes may be on AWS."""
GRACE_S = 2
"""Of a worker that is stopped: less than a long answer takes."""
PATIENCE_S = 120


def next_version(folder: Path) -> None:
    """Make an unpacked asset that of the next version: where there is a schema, it has one step more."""
    for place in folder.rglob("sql/schema/postgres"):
        (place / f"{NEW_STEP:04d}_rehearsed.sql").write_text(STEP)


@dataclass
class Rolling:
    """What is replaced, and what was seen meanwhile."""

    found: Rehearsal
    model: str
    new_worker: Path
    old: dict[str, list[Sandbox]] = field(default_factory=dict)
    held: list[Reading] = field(default_factory=list)
    """What was read of long answers: over a stream that an old function held for its time, from a worker that may end
    its answers, and from one that may not."""
    codes: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    """Of requests that only read."""
    hosted: list[str] = field(default_factory=list)
    """What a hosted model answered."""
    load: Traffic | None = None
    is_over: bool = False

    @property
    def proxy(self) -> str:
        """The address of the front door."""
        return self.found.address

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Read what no user may."""
        return self.found.rows(sql, *params)

    def start_worker(self, **settings: str) -> Worker:
        """Start one more instance of the fleet and return when it serves."""
        return self.found.start_worker(self.model, **settings)

    async def go(self) -> None:
        """Replace everything while users ask one thing after the other."""
        await self.until(lambda: self.rows("SELECT count(*) FROM workers") == [(2,)])
        async with traffic(self) as load, visitor(self.proxy) as reader:
            self.load = load
            walk = asyncio.create_task(self.walk(reader))
            await load.until_sent(10)
            await self.until(lambda: self.hosted)
            await self.replace_functions(load, reader)
            walked = len(self.hosted)
            await self.until(lambda: len(self.hosted) > walked + 1)
            await self.replace_workers(load, reader)
            await load.until_sent(10)
            self.is_over = True
            await walk

    async def walk(self, user: Visitor) -> None:
        """Use again and again what the others do not: accounts, widgets, hosted models."""
        while not self.is_over:
            for path in ("auth/me", "widgets", "conversations"):
                status, _ = await user.call("GET", f"{self.proxy}/api/{path}")
                self.statuses[status] += 1
            run = (await user.ask(self.proxy, f"say:{SHORT}", "hosted:latest"))["run"]["id"]
            self.hosted.append((await user.read(self.proxy, run)).text)

    async def replace_functions(self, load: Traffic, reader: Visitor) -> None:
        """The schema first, as the stacks say, then the others, while somebody reads over an old one."""
        functions = self.found.functions
        clock = functions.named("clock")
        await asyncio.to_thread(clock.invoke, b"{}")
        await asyncio.to_thread(functions.publish, next_version)
        first = triggers(self.found.deployed)
        for arn in [*first, *(each for each in functions.arns if each not in first)]:
            if arn.endswith("-stream"):
                reading = await self.reading(reader)
            self.old[arn] = list(functions.at(arn).sandboxes)
            await asyncio.to_thread(self.found.replace, arn)
            await load.until_sent(3)
        await asyncio.to_thread(clock.invoke, b"{}")
        self.held.append(await reading)

    async def replace_workers(self, load: Traffic, reader: Visitor) -> None:
        """One comes, one goes: the first when its group takes it back, the second when systemd stops it."""
        first, second = list(self.found.workers)
        for old, leave in ((first, first.instance.metadata.terminate), (second, second.process.terminate)):
            new = self.start_worker(PYTHONPATH=str(self.new_worker))
            await self.until(lambda new=new: self.found.serves(new))  # type: ignore[misc]
            reading = await self.reading(reader, of=old)
            await asyncio.to_thread(leave)
            await load.until_sent(3)
            self.codes.append(await asyncio.to_thread(old.ended))
            self.held.append(await reading)
            await load.until_sent(3)

    async def reading(self, reader: Visitor, of: Worker | None = None) -> asyncio.Task[Reading]:
        """Ask for a long answer, and again until it is the worker `of` that answers; read it."""
        while True:
            run = (await reader.ask(self.proxy, f"say:{LONG}"))["run"]["id"]
            await self.until(lambda run=run: self.holder(run))  # type: ignore[misc]
            if of is None or f":{of.process.pid}:" in self.holder(run):
                return asyncio.create_task(reader.read(self.proxy, run))

    def holder(self, run: str) -> str:
        """Return the lease of a run that goes."""
        return "".join(lease for (lease,) in self.rows("SELECT lease FROM runs WHERE id = %s AND lease <> ''", run))

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(is_so):
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolling]:
    """A rehearsal in which everything was replaced."""
    folder = tmp_path_factory.mktemp("rolling")
    with ExitStack() as stack:
        models, provider = (stack.enter_context(models_up(slots=16)) for _ in range(2))
        models.behave(rate=RATE)
        provider.behave(models=["hosted:latest"])
        assembly = read(synthesised(CONTEXT))
        timeout_of("stream", STREAM_S)(assembly)
        found = stack.enter_context(rehearsal(folder, assembly=assembly, hosted=f"{provider.address}/v1"))
        found.functions.configure(NO_LIMITS)
        new = unpacked(found.deployed, found.moto, folder / "wheel")
        next_version(new)
        made = Rolling(found, models.address, new)
        for grace in ("600", str(GRACE_S)):
            made.start_worker(KIRA_GRACE_S=grace)
        found.play(made.go())
        yield made


def test_no_request_was_refused_and_no_stream_broke(rolled: Rolling) -> None:
    assert rolled.load is not None
    assert rolled.load.all_failures() == []
    assert [user.broken for user in rolled.load.users if user.broken] == []
    assert rolled.statuses.keys() == {200}
    assert set(rolled.hosted) == {SHORT}
    assert len(rolled.load.sent) >= 50
    assert rolled.found.gate.refused == []


def test_the_schema_came_first_and_the_old_version_went_on_with_it(rolled: Rolling) -> None:
    applied = [number for (number,) in rolled.rows("SELECT number FROM schema_steps ORDER BY number")]
    assert applied == list(range(1, NEW_STEP + 1))
    assert f'"applied":["{NEW_STEP} rehearsed"]' in rolled.found.functions.named("migrate").told()


def test_every_function_is_of_the_new_version_and_no_old_environment_is_left(rolled: Rolling) -> None:
    for arn, old in rolled.old.items():
        function = rolled.found.functions.at(arn)
        assert [each.spec.folder for each in old if each.process.is_alive or each.spec is function.spec] == []
        assert function.spec.folder.parent.name == "assets-1"
        fresh = [each.served for each in function.sandboxes if each.spec is function.spec]
        assert sum(fresh) > 0, arn
    replaced = {arn.rpartition("-")[2] for arn, old in rolled.old.items() if old}
    assert replaced == {"agent", "auth", "chat", "clock", "stream", "widgets"}


def test_a_stream_that_an_old_function_held_for_its_time_was_read_on_at_a_new_one(rolled: Rolling) -> None:
    assert rolled.held[0].connections > 1
    assert (rolled.held[0].text, rolled.held[0].kinds[-1], rolled.held[0].kinds.count("restart")) == (LONG, "done", 0)


def test_a_worker_that_its_group_takes_back_ended_its_answer_and_said_so(rolled: Rolling) -> None:
    assert (rolled.held[1].text, rolled.held[1].kinds.count("restart")) == (LONG, 0)
    told = [each.call.action for each in rolled.found.gate.records]
    assert told.count("autoscaling:CompleteLifecycleAction") == 1


def test_a_worker_that_is_stopped_handed_its_answer_back_and_another_gave_it(rolled: Rolling) -> None:
    assert (rolled.held[2].text, rolled.held[2].kinds.count("restart")) == (LONG, 1)
    assert rolled.codes == [0, 0]


async def test_every_run_is_done_and_no_message_waits_in_a_queue(rolled: Rolling) -> None:
    assert rolled.rows("SELECT DISTINCT state FROM runs") == [("done",)]
    client = rolled.found.moto.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for url in client.list_queues()["QueueUrls"]:

        def is_empty(url: str = url) -> bool:
            found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            return set(found.values()) == {"0"}

        await rolled.until(is_empty)  # a hint that came twice is taken once more, and finds nothing to do
