"""An instance that is taken away loses nothing: what goes is finished or handed back, and is answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import groupby
from pathlib import Path

import pytest
from tests.fleet.cloud import GROUP, HOOK, Cloud
from tests.hosts.rig import Hosts, Program
from tests.hosts.users import Visitor, visitor
from tests.jobs.rig import Home, open_home

from kira.adapters.host.ec2 import Ec2Config, Ec2Host
from kira.ports.host import Load
from kira.testing.model_server import ModelServer

PATIENCE_S = 60
SPARE_S = 20
"""What a worker keeps of the time of a notice for itself."""


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.05)


async def ended(program: Program) -> int:
    """Return what a worker ended with by itself."""
    return await asyncio.to_thread(program.ended)


async def asked(user: Visitor, front: str, *texts: str) -> list[str]:
    return [(await user.ask(front, f"say:{text}"))["run"]["id"] for text in texts]


def words(number: int, many: int) -> str:
    return " ".join(f"{number}w{at}" for at in range(many))


def running(hosts: Hosts) -> int:
    return int(hosts.rows("SELECT count(*) FROM runs WHERE state = 'running'")[0][0])


async def test_a_spot_notice_has_what_is_short_finished_and_the_rest_answered_elsewhere(
    cloud: Cloud, hosts: Hosts
) -> None:
    front, leaving = hosts.instance(), hosts.worker(hosts.model(slots=4, rate=50), 4, **cloud.settings)
    hosts.start()
    texts = [words(number, many) for number, many in enumerate((100, 1500, 1500, 1500))]
    async with visitor(front.address) as user:
        runs = await asked(user, front.address, *texts)
        await until(lambda: running(hosts) >= len(runs) - 1)  # the short one may have ended
        other = hosts.worker(hosts.model(slots=4, rate=4000), 4)
        hosts.start(hosts.models[-1], other)
        cloud.metadata.interrupt(SPARE_S + 8)
        assert await ended(leaving) == 0, leaving.log.read_text()[-3000:]
        readings = await asyncio.gather(*(user.read(front.address, run) for run in runs))
    assert [reading.text for reading in readings] == texts
    assert [reading.kinds.count("restart") for reading in readings] == [0, 1, 1, 1]
    found = hosts.rows("SELECT run_id, count(*) FROM messages WHERE role = 'assistant' GROUP BY run_id")
    assert sorted(found) == sorted((run, 1) for run in runs)
    assert "EC2 takes this spot instance back" in leaving.log.read_text()


async def test_a_shrinking_group_waits_until_the_last_answer_is_whole(cloud: Cloud, hosts: Hosts) -> None:
    front, leaving = hosts.instance(), hosts.worker(hosts.model(rate=100), 2, **cloud.settings)
    hosts.start()
    text = words(1, 1500)
    async with visitor(front.address) as user:
        (run,) = await asked(user, front.address, text)
        await until(lambda: running(hosts) == 1)
        cloud.metadata.terminate()
        await until(lambda: cloud.actions("RecordLifecycleActionHeartbeat") != [])
        assert cloud.actions("CompleteLifecycleAction") == []
        assert running(hosts) == 1, "the answer still goes while the hook waits"
        (late,) = await asked(user, front.address, "for another")
        assert await ended(leaving) == 0, leaving.log.read_text()[-3000:]
        reading = await user.read(front.address, run)
        assert (reading.text, reading.kinds.count("restart")) == (text, 0)
        assert cloud.actions("CompleteLifecycleAction") == ["CompleteLifecycleAction"]
        assert hosts.rows("SELECT state, attempt FROM runs WHERE id = %s", late) == [("queued", 0)]


async def test_who_has_less_patience_than_the_group_is_heard(cloud: Cloud, hosts: Hosts) -> None:
    front, leaving = hosts.instance(), hosts.worker(hosts.model(rate=10), 2, KIRA_GRACE_S="0", **cloud.settings)
    hosts.start()
    async with visitor(front.address) as user:
        (run,) = await asked(user, front.address, words(1, 1500))
        await until(lambda: running(hosts) == 1)
        cloud.metadata.terminate()
        await until(lambda: cloud.actions("RecordLifecycleActionHeartbeat") != [])
        assert await asyncio.to_thread(leaving.stop) == 0
        assert hosts.rows("SELECT state FROM runs WHERE id = %s", run) == [("queued",)]
    assert cloud.actions("CompleteLifecycleAction") == ["CompleteLifecycleAction"]


@pytest.mark.parametrize("notice", ["spot", "group"])
async def test_a_notice_while_models_load_is_heard(cloud: Cloud, hosts: Hosts, notice: str) -> None:
    model = hosts.model(load=3600)
    leaving = hosts.worker(model, 2, KIRA_MODELS="test:latest", **cloud.settings)
    hosts.start()
    await until(lambda: "loading test:latest" in leaving.log.read_text())
    if notice == "spot":
        cloud.metadata.interrupt()
    else:
        cloud.metadata.terminate()
    assert await ended(leaving) == 0, leaving.log.read_text()[-3000:]
    assert len(cloud.actions("CompleteLifecycleAction")) >= (notice == "group")


async def test_a_worker_that_is_stopped_while_models_load_ends(cloud: Cloud, hosts: Hosts) -> None:
    leaving = hosts.worker(hosts.model(load=3600), 2, KIRA_MODELS="test:latest", **cloud.settings)
    hosts.start()
    await until(lambda: "loading test:latest" in leaving.log.read_text())
    assert await asyncio.to_thread(leaving.stop) == 0


async def test_while_ec2_is_silent_answers_go_on(cloud: Cloud, hosts: Hosts) -> None:
    cloud.metadata.mood = "silent"
    front, worker = hosts.instance(), hosts.worker(hosts.model(), 2, KIRA_MODELS="test:latest", **cloud.settings)
    hosts.start()
    async with visitor(front.address) as user:
        for text in ("one", "two"):
            (run,) = await asked(user, front.address, text)
            assert (await user.read(front.address, run)).text == text
            await until(lambda: "EC2 does not say" in worker.log.read_text())
    assert await asyncio.to_thread(worker.stop) == 0
    assert cloud.told == []


async def test_models_are_loaded_once_with_the_options_of_all_answers(cloud: Cloud, hosts: Hosts) -> None:
    model = hosts.model()
    front, worker = hosts.instance(), hosts.worker(model, 2, KIRA_MODELS="test", **cloud.settings)
    hosts.start()
    await until(lambda: "test:latest is on the card" in worker.log.read_text())
    async with visitor(front.address) as user:
        (run,) = await asked(user, front.address, "hello")
        assert (await user.read(front.address, run)).text == "hello"
        _, stats = await user.call("GET", f"{model.address}/test/stats")
    assert (stats["loads"], len(stats["options"])) == (1, 1)


@pytest.mark.parametrize(("share", "told"), [("0.5", "does not fit on the card"), ("0", "is not on a card")])
async def test_a_model_that_is_not_wholly_on_the_card_is_not_served(
    cloud: Cloud, hosts: Hosts, share: str, told: str
) -> None:
    model = hosts.model()
    model.command = [*model.command, "--gpu-share", share]
    worker = hosts.worker(model, 2, KIRA_MODELS="test:latest", **cloud.settings)
    hosts.start()
    assert await ended(worker) == 2
    assert told in worker.log.read_text().splitlines()[-1]
    assert cloud.instance["HealthStatus"] == "Unhealthy"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path / "kira.sqlite") as made:
        yield made


async def test_protection_is_on_exactly_while_a_run_goes(
    cloud: Cloud, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    quick = {"look": 0.02, "metrics": 0.1, "protection": 0.02, "idle": 0.1}
    host = Ec2Host(Ec2Config(GROUP, HOOK, cloud.endpoint, **quick))
    async with ModelServer(slots=2, rate=50) as server, home.working(server.address) as worker:
        watching = asyncio.create_task(host.watch(lambda: Load(2, worker.running), lambda _: None))
        await until(lambda: cloud.actions("SetInstanceProtection") != [])
        for number in range(2):
            assert cloud.instance["ProtectedFromScaleIn"] is False
            run = await home.ask(f"say:{words(number, 100)}")
            await home.until_said(run, "delta")
            await until(lambda: cloud.instance["ProtectedFromScaleIn"])
            await home.told(run)
            await until(lambda: not cloud.instance["ProtectedFromScaleIn"])
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await host.left()
        await host.close()
    wanted = [said["ProtectedFromScaleIn"] for name, said in cloud.told if name == "SetInstanceProtection"]
    # A call that was not answered in time is made again.
    assert [value for value, _ in groupby(wanted)] == ["false", "true", "false", "true", "false"]
