"""Hints as messages of one SQS queue: what fails is written to the log, because a hint is only a hint."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kira.domain.limits import HINT_VISIBLE_SECONDS, HINTS_AT_ONCE_MAX

log = logging.getLogger("kira.queue")

THREADS = 4  # one waits for hints, the others send, extend and delete
PAUSE_SECONDS = 2.0
"""How long is waited after SQS could not be asked for hints."""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hint:
    """A received message: whose run it names, and the handle under which it is held."""

    user_id: str
    run_id: str
    handle: str


class Sqs:
    """The official client, made at the first call; it blocks, so it is called in threads of its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Make the client with `make`."""
        self._make = make
        self._client: Any = None
        self._making = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, "kira-hints")

    async def call(self, operation: str, **params: Any) -> Any:
        """Return what SQS answers; raises what the client raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, operation, params)

    def _call(self, operation: str, params: Entry) -> Any:
        with self._making:
            self._client = self._client or self._make()
        return getattr(self._client, operation)(**params)


class Hints:
    """Sends, receives and holds the messages of the queue at `url`; never raises for what SQS does."""

    def __init__(self, sqs: Sqs, url: str, poll_s: int) -> None:
        """Use the queue at `url`; wait for hints up to `poll_s` seconds in one call."""
        self._sqs = sqs
        self._url = url
        self._poll_s = poll_s

    async def send(self, runs: Sequence[tuple[str, str]], delay_s: int = 0) -> int:
        """Send a hint for each pair of user and run; return how many were taken."""
        entries = [
            {"MessageBody": run_id, "MessageGroupId": user_id, "DelaySeconds": delay_s} for user_id, run_id in runs
        ]
        return await self._batches("send_message_batch", entries)

    async def receive(self, most: int) -> list[Hint]:
        """Wait a while for hints and return at most `most`; after a failure return none a little later."""
        try:
            told = await self._sqs.call(
                "receive_message",
                QueueUrl=self._url,
                MaxNumberOfMessages=min(most, HINTS_AT_ONCE_MAX),
                WaitTimeSeconds=self._poll_s,
                VisibilityTimeout=HINT_VISIBLE_SECONDS,
                MessageSystemAttributeNames=["MessageGroupId"],
            )
        except Exception as error:  # noqa: BLE001 - whichever library it is of: a hint is only a hint
            log.warning("SQS cannot be asked for hints: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)
            return []
        return [_hint(message) for message in told.get("Messages", ())]

    async def hold(self, hints: Sequence[Hint], seconds: int) -> None:
        """Keep received hints from others for so long; with 0 they are there for everybody at once."""
        entries = [{"ReceiptHandle": hint.handle, "VisibilityTimeout": seconds} for hint in hints]
        await self._batches("change_message_visibility_batch", entries)

    async def delete(self, hints: Sequence[Hint]) -> None:
        """Let received hints be gone; one that came again meanwhile stays with whoever received it last."""
        await self._batches("delete_message_batch", [{"ReceiptHandle": hint.handle} for hint in hints])

    async def put_off(self, hints: Sequence[Hint], seconds: int) -> None:
        """Let received hints come again later, as new ones: being received often is no fault of theirs."""
        if await self.send([(hint.user_id, hint.run_id) for hint in hints], seconds) == len(hints):
            await self.delete(hints)

    async def count(self) -> int | None:
        """Return about how many hints wait to be received; None when SQS does not say."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        try:
            told = await self._sqs.call("get_queue_attributes", QueueUrl=self._url, AttributeNames=names)
        except Exception as error:  # noqa: BLE001 - whichever library it is of: a hint is only a hint
            log.warning("SQS does not say how many hints there are: %s", error)
            return None
        return sum(int(told["Attributes"][name]) for name in names)

    async def _batches(self, operation: str, entries: Sequence[Entry]) -> int:
        """Call `operation` for all entries; return for how many it succeeded. An old handle succeeds or not."""
        done = 0
        for batch in _batched(entries):
            try:
                told = await self._sqs.call(operation, QueueUrl=self._url, Entries=batch)
            except Exception as error:  # noqa: BLE001 - whichever library it is of: a hint is only a hint
                log.warning("SQS did not take %d hints (%s): %s", len(batch), operation, error)
            else:
                done += len(told.get("Successful", ()))
        return done


def _batched(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    for first in range(0, len(entries), HINTS_AT_ONCE_MAX):
        part = entries[first : first + HINTS_AT_ONCE_MAX]
        yield [{"Id": str(number), **entry} for number, entry in enumerate(part)]


def _hint(message: Entry) -> Hint:
    user_id = message.get("Attributes", {}).get("MessageGroupId", "nobody")
    return Hint(user_id, message["Body"], message["ReceiptHandle"])
