"""The worker on SQS: a hint leads to an answer and is deleted, an idle worker leaves the database alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.aws import Aws, aws_server
from tests.jobs.rig import Home, open_home, text_of, titles, until, whole

from kira.adapters.alarm.timer import TimerAlarm
from kira.adapters.queue.sqs import SqsConfig, SqsQueue
from kira.domain.limits import HINT_LOOK_SECONDS, HINT_LOST_SECONDS
from kira.domain.moments import SECOND
from kira.testing.model_server import ModelServer

IDLE_S = 2.5
NAMES = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        yield server


@pytest.fixture
def url(aws: Aws) -> str:
    return aws.queue()


@pytest.fixture
async def home(tmp_path: Path, aws: Aws, url: str) -> AsyncIterator[Home]:
    async with open_home(tmp_path / "kira.sqlite") as opened:
        opened.queue = SqsQueue(opened.database, opened.clock, SqsConfig(url, poll_s=1), lambda: aws.client("sqs"))
        opened.look_s = HINT_LOOK_SECONDS
        yield opened
        await opened.queue.close()


def hints(aws: Aws, url: str) -> tuple[int, int]:
    """Return how many hints wait and how many are held."""
    told = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=NAMES)["Attributes"]
    return int(told[NAMES[0]]), int(told[NAMES[1]])


async def test_a_hint_of_another_process_leads_to_the_answer_and_its_title_and_none_is_left(
    home: Home, server: ModelServer, aws: Aws, url: str
) -> None:
    async with home.working(server.address):
        conversation = await home.conversation()
        run = await home.ask("say:An answer about rivers", conversation=conversation)
        home.line.waiting = 0  # nobody in this process knows of it
        assert text_of(await home.told(run)) == "An answer about rivers"
        await until(lambda: titles(home))
        await home.told(titles(home)[0])
        await until(lambda: hints(aws, url) == (0, 0))  # long before one that is held would come again
    assert home.rows("SELECT titled_by FROM conversations WHERE id = ?", conversation) == [("model",)]


async def test_an_idle_worker_asks_sqs_and_not_the_database(home: Home, server: ModelServer) -> None:
    async with home.working(server.address):
        await home.told(await home.ask("say:warm"))
        await until(lambda: home.line.waiting == 0)
        await asyncio.sleep(IDLE_S)
        before = home.database.executed
        await asyncio.sleep(IDLE_S)
        assert home.database.executed == before


async def test_a_worker_that_is_told_to_stop_lets_others_have_what_it_does_not_finish(
    home: Home, server: ModelServer, aws: Aws, url: str
) -> None:
    server.behaviour.rate, server.behaviour.tokens = 50, 400
    async with home.working(server.address, grace_s=0):
        runs = [await home.ask("one"), await home.ask("two"), await home.ask("three")]
        for run in runs[:2]:
            await home.until_said(run, "delta")
    assert [home.state(run) for run in runs] == ["queued"] * 3
    # A run may be taken before its own hint comes. Handed back, it then has two, and one that came while others waited
    # is put off for a moment, which is far shorter than it would be held.
    await until(lambda: hints(aws, url)[0] >= 3)
    assert hints(aws, url)[1] == 0
    server.behaviour.rate, server.behaviour.tokens = 500, 30
    home.queue = SqsQueue(home.database, home.clock, SqsConfig(url, poll_s=1), lambda: aws.client("sqs"))
    home.line.waiting = 0
    async with home.working(server.address):
        for run, question in zip(runs, ("one", "two", "three"), strict=True):
            assert text_of(await home.told(run)) == whole(question, 30)
    assert [len(home.answers(run)) for run in runs] == [1, 1, 1]


async def test_whoever_queues_a_run_sets_the_alarm_for_its_hint(home: Home, server: ModelServer) -> None:
    alarm = TimerAlarm(home.clock)
    home.alarm = alarm
    async with home.working(server.address):
        before = home.clock.now()
        await home.ask("one")
        first = alarm.moment
        assert first is not None
        assert before + HINT_LOST_SECONDS * SECOND <= first <= home.clock.now() + HINT_LOST_SECONDS * SECOND
        await home.ask("two")
        assert alarm.moment == first
    await alarm.close()
