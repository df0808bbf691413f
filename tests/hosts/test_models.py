"""Workers with different models: a run goes where its model is, and best where it is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from tests.hosts.rig import Hosts, Postgres, Program, open_hosts
from tests.hosts.users import Visitor, visitor

BOTH, ONLY = "both:latest", "only:latest"


@pytest.fixture(scope="module")
def hosts(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Run an instance and two workers: the first has one model, the second has that and another."""
    with open_hosts(tmp_path_factory.mktemp("models"), postgres, KIRA_LIMIT_CONVERSATION="off") as made:
        made.instance()
        made.worker(made.model(models=BOTH, load=0.2))
        made.worker(made.model(models=f"{BOTH},{ONLY}", load=0.2))
        made.start()
        yield made


@pytest.fixture
async def user(hosts: Hosts) -> AsyncIterator[Visitor]:
    async with visitor(hosts.addresses[0]) as signed_up:
        while len(await models_of(signed_up, hosts)) < 2:
            await asyncio.sleep(0.1)
        yield signed_up


async def models_of(user: Visitor, hosts: Hosts) -> set[str]:
    """Return the models that can be chosen, without the demo model."""
    _, shown = await user.call("GET", f"{hosts.addresses[0]}/api/models")
    return {each["name"] for each in shown["items"] if not each["demo"]}


async def stats(model: Program) -> dict[str, int]:
    """Return what a model server counted."""
    async with aiohttp.ClientSession(model.address) as session, session.get("/test/stats") as response:
        found: dict[str, int] = await response.json()
        return found


async def ended(user: Visitor, hosts: Hosts, model: str, content: str = "say:here") -> str:
    """Ask `model` and return how the run ended."""
    address = hosts.addresses[0]
    return (await user.read(address, (await user.ask(address, content, model))["run"]["id"])).kinds[-1]


async def test_a_run_goes_to_the_one_worker_that_has_its_model(hosts: Hosts, user: Visitor) -> None:
    before = await stats(hosts.models[0])
    assert [await ended(user, hosts, ONLY) for _ in range(3)] == ["done"] * 3
    assert (await stats(hosts.models[0]))["requests"] == before["requests"]


async def test_it_waits_while_that_worker_restarts(hosts: Hosts, user: Visitor) -> None:
    second = hosts.workers[1]
    assert await asyncio.to_thread(second.stop) == 0
    asked = asyncio.create_task(ended(user, hosts, ONLY))
    assert await ended(user, hosts, BOTH) == "done"  # the first worker has looked at the line since
    await asyncio.sleep(1)
    await asyncio.to_thread(hosts.start, second)
    assert await asked == "done"


async def test_a_worker_leaves_runs_to_the_one_that_has_the_model_loaded(hosts: Hosts, user: Visitor) -> None:
    first, second = hosts.models
    assert await asyncio.to_thread(hosts.workers[1].stop) == 0
    assert await ended(user, hosts, BOTH) == "done"  # the first server has it loaded
    await asyncio.to_thread(hosts.start, hosts.workers[1])
    assert await ended(user, hosts, ONLY) == "done"  # and the second server the other one
    while not {BOTH, ONLY} <= await models_loaded(user, hosts):
        await asyncio.sleep(0.2)
    await until_told(hosts)
    loads = (await stats(second))["loads"]
    for _ in range(6):
        assert await ended(user, hosts, BOTH) == "done"
    assert (await stats(second))["loads"] == loads
    assert (await stats(first))["answered"] >= 6


async def until_told(hosts: Hosts) -> None:
    """Return when both workers have read what the other one serves now: each reads before it tells of itself."""
    for _ in range(2):
        ((last,),) = hosts.rows("SELECT max(seen_at) FROM workers")
        while hosts.rows("SELECT count(*) FROM workers WHERE seen_at > %s", last) != [(2,)]:
            await asyncio.sleep(0.1)


async def models_loaded(user: Visitor, hosts: Hosts) -> set[str]:
    """Return the models that some worker says are loaded."""
    _, shown = await user.call("GET", f"{hosts.addresses[0]}/api/models")
    return {each["name"] for each in shown["items"] if each["loaded"]}


async def test_but_not_for_ever(hosts: Hosts, user: Visitor) -> None:
    long = "say:" + " ".join(["long"] * 3000)
    address = hosts.addresses[0]
    asked = [(await user.ask(address, long, BOTH))["run"]["id"] for _ in range(3)]
    before = (await stats(hosts.models[1]))["loads"]
    while (await stats(hosts.models[1]))["loads"] == before:
        await asyncio.sleep(0.1)
    for run in asked:
        await user.call("POST", f"{address}/api/runs/{run}/cancel")
