"""SQS as it is on its bad days: clients of the test server that hold to more of the promise, or to less."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Answer = dict[str, Any]
LATE_SECONDS = 1


@dataclass
class Receipts:
    """The newest handle of every message, for all clients of a server; the test server itself takes old ones too."""

    newest: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    stale: Counter[str] = field(default_factory=Counter)

    def received(self, message: Answer) -> None:
        """Take note of a handle."""
        self.newest[message["MessageId"]] = message["ReceiptHandle"]
        self.messages[message["ReceiptHandle"]] = message["MessageId"]

    def is_stale(self, handle: str) -> bool:
        """Say whether its message was received again since."""
        return self.newest.get(self.messages.get(handle, ""), handle) != handle


class Strict:
    """A client as AWS answers it: with a stale handle a deletion succeeds and does nothing, and holding is refused."""

    def __init__(self, client: Any, receipts: Receipts) -> None:
        """Watch the handles that pass through `client`."""
        self._client = client
        self._receipts = receipts

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Pass on every other call."""
        found: Callable[..., Any] = getattr(self._client, name)
        return found

    def receive_message(self, **params: Any) -> Answer:
        """Receive, and remember the handles."""
        told: Answer = self._client.receive_message(**params)
        for message in told.get("Messages", ()):
            self._receipts.received(message)
        return told

    def delete_message_batch(self, **params: Any) -> Answer:
        """Delete what is held under a newest handle; say of all that it succeeded."""
        return self._only_newest("delete_message_batch", "Successful", params)

    def change_message_visibility_batch(self, **params: Any) -> Answer:
        """Hold what is held under a newest handle; refuse the rest."""
        return self._only_newest("change_message_visibility_batch", "Failed", params)

    def _only_newest(self, operation: str, rest: str, params: Answer) -> Answer:
        entries = params["Entries"]
        stale = [entry for entry in entries if self._receipts.is_stale(entry["ReceiptHandle"])]
        self._receipts.stale[operation] += len(stale)
        told: Answer = {"Successful": [], "Failed": []}
        if fresh := [entry for entry in entries if entry not in stale]:
            told = {**told, **getattr(self._client, operation)(**{**params, "Entries": fresh})}
        told[rest] = [*told[rest], *({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid"} for entry in stale)]
        return told


class Unreliable:
    """A client that loses, doubles and delays what is sent, and loses deletions, by chance; `met` counts them."""

    def __init__(self, client: Any, chance: random.Random, met: Counter[str], share: float = 0.5) -> None:
        """Do so to a `share` of all messages."""
        self._client = client
        self._chance = chance
        self._met = met
        self._share = share

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Pass on every other call."""
        found: Callable[..., Any] = getattr(self._client, name)
        return found

    def send_message_batch(self, **params: Any) -> Answer:
        """Send what is left of the entries; say of all that it succeeded."""
        entries = [sent for entry in params["Entries"] for sent in self._suffered(entry)]
        for entry in entries:
            self._client.send_message_batch(**{**params, "Entries": [entry]})
        return {"Successful": params["Entries"], "Failed": []}

    def delete_message_batch(self, **params: Any) -> Answer:
        """Delete, or let the messages come again."""
        if self._chance.random() < self._share / 3:
            self._met["deletion lost"] += 1
            return {"Successful": params["Entries"], "Failed": []}
        told: Answer = self._client.delete_message_batch(**params)
        return told

    def _suffered(self, entry: Answer) -> list[Answer]:
        if self._chance.random() >= self._share:
            return [entry]
        fate = self._chance.choice(("lost", "doubled", "late"))
        self._met[fate] += 1
        if fate == "lost":
            return []
        return [entry, entry] if fate == "doubled" else [{**entry, "DelaySeconds": LATE_SECONDS}]
