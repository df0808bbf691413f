"""What every host promises: it goes on until cancelled, says in time when it is taken away, and never ends a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tests.buckets import s3_server
from tests.fleet.cloud import GROUP, HOOK, Cloud, open_cloud

from kira.adapters.host.ec2 import Ec2Config, Ec2Host
from kira.adapters.host.plain import PlainHost
from kira.ports.host import Host, Leave, Load

QUICK = {"look": 0.01, "answer": 0.2, "metrics": 0.05, "protection": 0.02, "idle": 0.1, "heartbeat": 0.03}
PATIENCE_S = 30


@dataclass
class Seen:
    """A worker as its host sees it."""

    load: Load = field(default_factory=lambda: Load(4, 0))
    looks: int = 0
    leaves: list[Leave] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def look(self) -> Load:
        self.looks += 1
        return self.load


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with s3_server() as server:
        yield server.endpoint


@pytest.fixture
def cloud(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with open_cloud(moto) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@asynccontextmanager
async def watched(host: Host) -> AsyncIterator[Seen]:
    seen = Seen()
    seen.task = asyncio.create_task(host.watch(seen.look, seen.leaves.append))
    try:
        yield seen
        assert not seen.task.done(), "it goes on until it is cancelled"
    finally:
        seen.task.cancel()
        await asyncio.gather(seen.task, return_exceptions=True)
        await host.close()


def of(cloud: Cloud, **more: float) -> Ec2Host:
    return Ec2Host(Ec2Config(GROUP, HOOK, cloud.endpoint, **(QUICK | more)))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_a_computer_of_ones_own_never_leaves_and_asks_nothing() -> None:
    host = PlainHost()
    async with watched(host) as seen:
        for _ in range(20):
            await asyncio.sleep(0)
        await host.left()
        await host.unfit("no card")
        assert (seen.looks, seen.leaves) == (0, [])


async def test_an_instance_that_nobody_wants_back_stays(cloud: Cloud) -> None:
    async with watched(of(cloud)) as seen:
        await until(lambda: seen.looks > 20 and len(cloud.metadata.asked) > 20)
        assert seen.leaves == []
    assert cloud.metadata.refused == [], "every question carried a token"


@pytest.mark.parametrize(("notice", "least", "most"), [(120, 85, 90), (60, 35, 40), (5, 0, 0)])
async def test_a_spot_notice_leaves_less_than_two_minutes(cloud: Cloud, notice: int, least: int, most: int) -> None:
    async with watched(of(cloud)) as seen:
        await until(lambda: seen.looks > 3)
        cloud.metadata.interrupt(notice)
        await until(lambda: bool(seen.leaves))
        looks = len(cloud.metadata.asked)
        await until(lambda: len(cloud.metadata.asked) > looks + 20)
        (leave,) = seen.leaves
        assert least <= leave.seconds <= most
        assert "spot" in leave.reason


async def test_a_notice_that_cannot_be_read_is_one_of_two_minutes(cloud: Cloud) -> None:
    async with watched(of(cloud)) as seen:
        cloud.metadata.items["spot/instance-action"] = "<html>"
        await until(lambda: bool(seen.leaves))
        assert seen.leaves[0].seconds == 90


async def test_a_group_that_shrinks_waits_for_the_hook_and_less_time_is_told_again(cloud: Cloud) -> None:
    host = of(cloud)
    async with watched(host) as seen:
        seen.load = Load(4, 1)
        cloud.metadata.terminate()
        await until(lambda: cloud.actions("RecordLifecycleActionHeartbeat") != [])
        assert [leave.seconds for leave in seen.leaves] == [3600]
        cloud.metadata.interrupt()
        await until(lambda: len(seen.leaves) == 2)
        assert seen.leaves[1].seconds <= 90
        assert cloud.actions("CompleteLifecycleAction") == []
        await host.left()
    assert cloud.actions("CompleteLifecycleAction") == ["CompleteLifecycleAction"]


async def test_who_leaves_by_itself_completes_nothing(cloud: Cloud) -> None:
    host = of(cloud)
    async with watched(host) as seen:
        await until(lambda: seen.looks > 3)
        await host.left()
    assert cloud.actions("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat") == []


async def test_it_is_protected_while_it_is_busy_and_for_a_while_after(cloud: Cloud) -> None:
    host = of(cloud)
    async with watched(host) as seen:
        await until(lambda: cloud.actions("SetInstanceProtection") != [])
        assert cloud.instance["ProtectedFromScaleIn"] is False
        seen.load = Load(4, 2)
        await until(lambda: bool(cloud.instance["ProtectedFromScaleIn"]))
        seen.load = Load(4, 0)
        await until(lambda: not cloud.instance["ProtectedFromScaleIn"])
        looks = seen.looks
        await until(lambda: seen.looks > looks + 20)
        assert len(cloud.actions("SetInstanceProtection")) == 3, "one call for each change, however often it is looked"


async def test_short_pauses_do_not_change_the_protection(cloud: Cloud) -> None:
    async with watched(of(cloud, idle=3600)) as seen:
        for running in (1, 0) * 10:
            seen.load, looks = Load(4, running), seen.looks
            await until(lambda looks=looks: seen.looks > looks + 2)  # type: ignore[misc]
        await until(lambda: cloud.actions("SetInstanceProtection") != [])
    assert len(cloud.actions("SetInstanceProtection")) == 1


async def test_what_ec2_may_want_soon_is_not_protected(cloud: Cloud) -> None:
    async with watched(of(cloud)) as seen:
        seen.load = Load(4, 2)
        await until(lambda: bool(cloud.instance["ProtectedFromScaleIn"]))
        cloud.metadata.recommend()
        await until(lambda: not cloud.instance["ProtectedFromScaleIn"])
        assert seen.leaves == [], "it works until the group or EC2 takes it"


async def test_utilisation_is_published_for_the_whole_group_in_one_call(cloud: Cloud) -> None:
    async with watched(of(cloud)) as seen:
        seen.load = Load(8, 2)
        await until(lambda: "PutMetricData" in cloud.actions("PutMetricData"))
        await until(lambda: cloud.measured("SlotUtilisation") != [])
        assert max(cloud.measured("SlotUtilisation")) == 25
        assert (max(cloud.measured("Slots")), max(cloud.measured("Running"))) == (8, 2)


async def test_without_slots_there_is_no_utilisation(cloud: Cloud) -> None:
    async with watched(of(cloud)) as seen:
        seen.load = Load(0, 0)
        await until(lambda: cloud.measured("Slots") != [])
        assert cloud.measured("SlotUtilisation") == []


@pytest.mark.parametrize("mood", ["silent", "broken"])
async def test_while_ec2_says_nothing_the_worker_goes_on(cloud: Cloud, mood: str) -> None:
    host = of(cloud)
    cloud.metadata.mood = mood  # type: ignore[assignment]
    async with watched(host) as seen:
        seen.load = Load(4, 1)
        await until(lambda: seen.looks > 2)
        await host.left()
        await host.unfit("no card")
        assert (seen.leaves, cloud.told) == ([], [])
        cloud.metadata.mood = "well"
        await until(lambda: bool(cloud.instance["ProtectedFromScaleIn"]))
        cloud.metadata.interrupt()
        await until(lambda: bool(seen.leaves))


async def test_a_token_that_ran_out_is_asked_for_again(cloud: Cloud) -> None:
    async with watched(of(cloud)) as seen:
        await until(lambda: seen.looks > 3)
        cloud.metadata.tokens.clear()
        cloud.metadata.interrupt()
        await until(lambda: bool(seen.leaves))
    assert len(cloud.metadata.refused) == len(set(cloud.metadata.refused))


async def test_what_aws_refuses_does_not_end_the_watch(cloud: Cloud) -> None:
    cloud.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    async with watched(of(cloud)) as seen:
        seen.load = Load(4, 1)
        await until(lambda: len(cloud.actions("SetInstanceProtection")) > 2)
        cloud.metadata.interrupt()
        await until(lambda: bool(seen.leaves))


async def test_an_unfit_instance_is_one_that_the_group_replaces(cloud: Cloud) -> None:
    host = of(cloud)
    await host.unfit("no card")
    await host.close()
    assert cloud.instance["HealthStatus"] == "Unhealthy"
