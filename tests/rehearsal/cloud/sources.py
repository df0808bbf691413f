"""Event source mappings: Lambda's own hand that takes messages off a queue and gives them to a function."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from tests.rehearsal.cloud.functions import DeployedFunctions
from tests.rehearsal.cloud.policies import NotRehearsed
from tests.rehearsal.host.environment import SECRET
from tests.rehearsal.host.function import Function
from tests.rehearsal.host.invocation import Failed
from tests.rehearsal.host.spec import ACCOUNT, REGION

KNOWN = frozenset(
    {
        "BatchSize",
        "Enabled",
        "EventSourceArn",
        "FunctionName",
        "FunctionResponseTypes",
        "MaximumBatchingWindowInSeconds",
        "ScalingConfig",
        "Tags",
    }
)
WAIT_SECONDS = 2
"""How long one look at the queue takes at most; AWS looks for 20 seconds."""
STANDARD_CONCURRENCY = 5


@dataclass
class Source:
    """One mapping; it calls the queue with the function's own role, as Lambda does."""

    functions: DeployedFunctions
    arn: str
    queue: str
    batch: int
    says_failures: bool
    most: int

    def __post_init__(self) -> None:
        """Begin."""
        self._stopped = threading.Event()
        self._client = _client(self.function)
        self._free = threading.Semaphore(self.most)
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    @property
    def function(self) -> Function:
        """The function as it is deployed now."""
        return self.functions.at(self.arn)

    def stop(self) -> None:
        """Take no more."""
        self._stopped.set()

    def _go(self) -> None:
        while not self._stopped.is_set():
            self._free.acquire()
            try:
                messages = self._receive()
            except (ClientError, BotoCoreError):
                messages = []
                self._stopped.wait(WAIT_SECONDS)
            if messages:
                threading.Thread(target=self._give, args=(messages,), daemon=True).start()
            else:
                self._free.release()

    def _receive(self) -> list[dict[str, Any]]:
        names = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        asked = {"QueueUrl": self.queue, "MaxNumberOfMessages": min(self.batch, 10), "WaitTimeSeconds": WAIT_SECONDS}
        return list(self._client.receive_message(**asked, **names).get("Messages", []))

    def _give(self, messages: list[dict[str, Any]]) -> None:
        try:
            answer = self.function.invoke(json.dumps({"Records": [self._record(each) for each in messages]}).encode())
        except Failed:
            return  # they come back when their time is over
        finally:
            self._free.release()
        failed = self._failures(answer, messages)
        with contextlib.suppress(ClientError, BotoCoreError):
            for each in messages:
                if each["MessageId"] not in failed:
                    self._client.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])

    def _failures(self, answer: Any, messages: list[dict[str, Any]]) -> set[str]:
        """Return the messages that the function could not do; an answer without sense means all of them."""
        if not self.says_failures:
            return set()
        everything = {each["MessageId"] for each in messages}
        try:
            failed = {each["itemIdentifier"] for each in (answer or {}).get("batchItemFailures") or []}
        except (KeyError, TypeError, AttributeError):
            return everything
        return failed if failed <= everything else everything

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        name = self.queue.rpartition("/")[2]
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
            "awsRegion": REGION,
        }


def sources_of(functions: DeployedFunctions) -> list[Source]:
    """Begin every mapping of the template that is switched on."""
    made = []
    for said in functions.mappings():
        if said.keys() - KNOWN:
            raise NotRehearsed(f"{sorted(said.keys() - KNOWN)} of an event source mapping")
        if not said.get("Enabled", True):
            continue
        queue = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{said['EventSourceArn'].rpartition(':')[2]}"
        made.append(
            Source(
                functions,
                functions.arn_of(said["FunctionName"]),
                queue,
                int(said.get("BatchSize", 10)),
                "ReportBatchItemFailures" in said.get("FunctionResponseTypes", []),
                int(said.get("ScalingConfig", {}).get("MaximumConcurrency", STANDARD_CONCURRENCY)),
            )
        )
    return made


def _client(function: Function) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=function.spec.endpoint,
        region_name=REGION,
        aws_access_key_id=function.spec.key_id,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )
