"""`kira up --no-worker` and `kira worker` whose hints go through SQS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import homes
from tests.aws import CREDENTIALS, Aws, aws_server
from tests.bench.rig import model_server
from tests.local.test_worker import TOKENS, Place, asked, frames, text_of

from kira.adapters.queue.sqs_client import client_of
from kira.local.settings import read

PATIENCE_S = 30


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, aws: Aws) -> Iterator[Place]:
    with model_server(slots=2, tokens=TOKENS, rate=200) as server:
        yield Place(tmp_path, server.address, {"KIRA_QUEUE": aws.queue(), **CREDENTIALS})


def hints(aws: Aws, url: str) -> int:
    """Return how many hints there are, received or not."""
    told = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(count) for name, count in told.items() if name.startswith("ApproximateNumberOfMessages"))


def drained(aws: Aws, url: str) -> list[Any]:
    """Take every hint away and return what was there."""
    sqs, found = aws.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        found += messages
        for each in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return found


async def test_a_question_is_answered_by_the_worker_that_received_its_hint(place: Place, aws: Aws) -> None:
    with place.up() as address, place.worker():
        async with place.visitor(address) as session:
            run_id = await asked(session)
            found = [frame async for frame in frames(session, f"/api/runs/{run_id}/events")]
            async with asyncio.timeout(PATIENCE_S):
                while hints(aws, place.settings["KIRA_QUEUE"]):  # its own, and the one of the run that makes the title
                    await asyncio.sleep(0.1)
    assert found[-1].kind == "done"
    assert len(text_of(found).split()) == TOKENS


async def test_what_was_queued_without_a_worker_waits_for_the_next_one(place: Place, aws: Aws) -> None:
    with place.up() as address:
        with place.worker():
            async with place.visitor(address) as session:
                first = await asked(session)
                _ = [frame async for frame in frames(session, f"/api/runs/{first}/events")]
        async with place.visitor(address) as session:
            run_id = await asked(session)
            assert homes.look(place.data, "SELECT state FROM runs WHERE id = ?", run_id) == [("queued",)]
            drained(aws, place.settings["KIRA_QUEUE"])  # its hint is lost
            with place.worker():  # which looks at the table when it starts
                found = [frame async for frame in frames(session, f"/api/runs/{run_id}/events")]
    assert found[-1].kind == "done"


def test_the_address_of_a_queue_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    on_aws = client_of("https://sqs.eu-central-1.amazonaws.com/123456789012/runs")
    assert (on_aws.meta.region_name, on_aws.meta.endpoint_url) == (
        "eu-central-1",
        "https://sqs.eu-central-1.amazonaws.com",
    )
    apart = client_of("http://localhost:9324/000000000000/runs")
    assert (apart.meta.region_name, apart.meta.endpoint_url) == (CREDENTIALS["AWS_REGION"], "http://localhost:9324")


def test_models_of_the_hosted_provider_are_separated_by_commas() -> None:
    assert read(hosted_models="one, two,").hosted_models == ("one", "two")
