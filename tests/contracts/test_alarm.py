"""Every alarm keeps the Alarm promise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.aws import Aws, aws_server

from kira.adapters.alarm.scheduler import SchedulerAlarm, SchedulerConfig
from kira.adapters.alarm.timer import TimerAlarm
from kira.adapters.clock.fixed import FixedClock
from kira.domain.errors import Unavailable
from kira.domain.moments import HOUR, MINUTE, SECOND
from kira.ports.alarm import Alarm

PATIENCE_S = 10
TARGET = "arn:aws:lambda:us-east-1:123456789012:function:clock"
NOBODY = "http://127.0.0.1:9"  # the discard port: nobody answers there
ROLE = "arn:aws:iam::123456789012:role/alarm"


@dataclass(slots=True)
class Rig:
    """An alarm, the clock that it measures by, and the moments at which it will wake somebody."""

    alarm: Alarm
    clock: FixedClock
    moments: Callable[[], list[int]]


@dataclass
class Group:
    """A group of schedules at the server, and how often it was called."""

    aws: Aws
    name: str = field(default_factory=lambda: f"kira-{time.monotonic_ns()}")
    calls: int = 0

    def __post_init__(self) -> None:
        """Make the group."""
        self.own = self.aws.client("scheduler")
        self.own.create_schedule_group(Name=self.name)

    def alarm(self, clock: FixedClock) -> SchedulerAlarm:
        """Return the alarm of one more process."""
        return SchedulerAlarm(clock, SchedulerConfig(self.name, TARGET, ROLE), self._client)

    def schedules(self) -> list[dict[str, Any]]:
        """Return everything that is stored."""
        found = self.own.list_schedules(GroupName=self.name)["Schedules"]
        return [self.own.get_schedule(GroupName=self.name, Name=each["Name"]) for each in found]

    def moments(self) -> list[int]:
        """Return when the schedules fire."""
        texts = [each["ScheduleExpression"].removeprefix("at(").removesuffix(")") for each in self.schedules()]
        return [int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND for text in texts]

    def _client(self) -> Any:
        client = self.aws.client("scheduler")
        client.meta.events.register("before-call", self._called)
        return client

    def _called(self, **_: object) -> None:
        self.calls += 1


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        yield server


@pytest.fixture
def group(aws: Aws) -> Group:
    return Group(aws)


@pytest.fixture(params=["timer", "scheduler"])
async def rig(request: pytest.FixtureRequest, group: Group) -> AsyncIterator[Rig]:
    clock = FixedClock()
    if request.param == "scheduler":
        yield Rig(group.alarm(clock), clock, group.moments)
        return
    alarm = TimerAlarm(clock)
    yield Rig(alarm, clock, lambda: [alarm.moment] if alarm.moment is not None else [])
    await alarm.close()


async def test_somebody_is_woken_at_the_moment_or_within_a_minute(rig: Rig) -> None:
    moment = rig.clock.now() + HOUR
    await rig.alarm.set(moment)
    (found,) = rig.moments()
    assert moment <= found < moment + MINUTE


async def test_a_later_moment_does_not_put_off_a_sooner_one(rig: Rig) -> None:
    moment = rig.clock.now() + HOUR
    await rig.alarm.set(moment)
    await rig.alarm.set(moment + HOUR)
    assert moment <= min(rig.moments()) < moment + MINUTE


async def test_a_sooner_moment_comes_before_a_later_one(rig: Rig) -> None:
    moment = rig.clock.now() + HOUR
    await rig.alarm.set(moment + HOUR)
    await rig.alarm.set(moment)
    assert moment <= min(rig.moments()) < moment + MINUTE


async def test_a_moment_that_is_set_again_is_one_wake_up(rig: Rig) -> None:
    for _ in range(3):
        await rig.alarm.set(rig.clock.now() + HOUR)
    assert len(rig.moments()) == 1


async def test_a_moment_that_is_past_is_as_soon_as_can_be(rig: Rig) -> None:
    await rig.alarm.set(rig.clock.now() - HOUR)
    (found,) = rig.moments()
    assert found <= rig.clock.now() + 2 * MINUTE


async def test_a_timer_wakes_again_and_again_whatever_the_work_does() -> None:
    clock, woken = FixedClock(), asyncio.Event()
    alarm = TimerAlarm(clock)
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(len(rounds))
        await alarm.set(clock.now())
        if rounds == [0]:
            raise Unavailable(retry_after_s=1)
        if rounds == [0, 1]:
            raise ZeroDivisionError
        woken.set()

    alarm.wakes(work)
    await alarm.set(clock.now())
    async with asyncio.timeout(PATIENCE_S):
        await woken.wait()
    await alarm.close()


async def test_a_schedule_calls_the_clock_once_and_deletes_itself(group: Group) -> None:
    clock = FixedClock()
    await group.alarm(clock).set(clock.now() + HOUR)
    (found,) = group.schedules()
    assert found["ActionAfterCompletion"] == "DELETE"
    assert found["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert (found["Target"]["Arn"], found["Target"]["RoleArn"]) == (TARGET, ROLE)


async def test_a_process_asks_the_scheduler_once_in_a_minute(group: Group) -> None:
    clock = FixedClock()
    alarm = group.alarm(clock)
    for _ in range(180):
        await alarm.set(clock.now() + MINUTE)
        clock.advance(1)
    assert 3 <= group.calls <= 4
    assert len(group.schedules()) == group.calls


async def test_processes_that_want_the_same_moment_make_one_schedule(group: Group) -> None:
    clock = FixedClock()
    await asyncio.gather(*(group.alarm(clock).set(clock.now() + HOUR) for _ in range(5)))
    assert group.calls == 5
    assert len(group.schedules()) == 1


async def test_a_schedule_that_fired_and_is_not_deleted_yet_is_in_nobody_s_way(group: Group) -> None:
    clock = FixedClock()
    await group.alarm(clock).set(clock.now() + MINUTE)
    clock.advance(120)
    await group.alarm(clock).set(clock.now() + MINUTE)
    assert max(group.moments()) >= clock.now() + MINUTE


async def test_a_scheduler_that_refuses_is_asked_again_at_the_next_run(group: Group) -> None:
    clock = FixedClock()
    alarm = group.alarm(clock)
    group.own.delete_schedule_group(Name=group.name)
    await alarm.set(clock.now() + HOUR)  # written to the log, and not raised
    group.own.create_schedule_group(Name=group.name)
    assert group.moments() == []
    await alarm.set(clock.now() + HOUR)
    assert len(group.moments()) == 1


async def test_a_scheduler_that_cannot_be_reached_keeps_no_run_from_being_queued() -> None:
    clock, tries = FixedClock(), []

    def client() -> Any:
        tries.append(1)
        return Aws(NOBODY).client("scheduler", retries={"total_max_attempts": 1})

    await SchedulerAlarm(clock, SchedulerConfig("group", TARGET, ROLE), client).set(clock.now())
    assert tries == [1]
