"""One invocation of a function: what it is given, and its answer piece by piece."""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PRELUDE = "application/vnd.awslambda.http-integration-response"
"""The content type of an answer that begins with its status and headers as JSON, then eight NULs, then the body."""
DELIMITER = b"\0" * 8
ANSWER_BYTES_MAX = 6 * 1024 * 1024
"""Of a request, and of an answer that is not streamed."""


class Failed(Exception):
    """The function did not answer."""

    def __init__(self, kind: str, message: str) -> None:
        """Say how Lambda calls it, and what happened."""
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message

    @property
    def is_timeout(self) -> bool:
        """Whether the function took longer than it may."""
        return self.kind == "Sandbox.Timedout"


class Throttled(Failed):
    """The function runs as often as it may at once."""

    def __init__(self, name: str) -> None:
        """Say of which function."""
        super().__init__("TooManyRequestsException", f"{name} has no free concurrency")


class TooLarge(Failed):
    """The request is larger than Lambda takes."""

    def __init__(self, size: int) -> None:
        """Say how large."""
        super().__init__("RequestTooLargeException", f"the request has {size} bytes")


@dataclass
class Invocation:
    """What a function was asked and what it has answered so far."""

    payload: bytes
    deadline: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    streams: bool = False
    framed: bool = False
    failure: Failed | None = None
    is_cold: bool = False
    answered: threading.Event = field(default_factory=threading.Event)
    """Set when the answer begins, or will never come."""
    _pieces: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    _size: int = 0
    has_ended: bool = False

    @property
    def trace(self) -> str:
        """The trace of this invocation, as X-Ray writes it."""
        digits = self.id.replace("-", "")
        return f"Root=1-{int(time.time()):08x}-{digits[:24]};Parent={digits[:16]};Sampled=0"

    def begin(self, *, streams: bool, framed: bool) -> None:
        """The answer begins."""
        self.streams, self.framed = streams, framed
        if streams:
            self.answered.set()

    def add(self, piece: bytes) -> None:
        """A piece of the answer came."""
        self._size += len(piece)
        if not self.streams and self._size > ANSWER_BYTES_MAX:
            self.fail({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": f"{self._size} bytes"})
        else:
            self._pieces.put(piece)

    def fail(self, told: dict[str, Any]) -> None:
        """There will be no answer, or no more of it."""
        if not self.has_ended:
            self.failure = Failed(str(told.get("errorType", "Unhandled")), str(told.get("errorMessage", "")))
            self.end()

    def end(self) -> None:
        """The answer is whole."""
        self.has_ended = True
        self._pieces.put(None)
        self.answered.set()

    def pieces(self) -> Iterator[bytes]:
        """Yield the answer as it comes."""
        while (piece := self._pieces.get()) is not None:
            yield piece

    def drain(self) -> None:
        """Wait for the end; whoever asked may have gone, and the function goes on nevertheless."""
        while not self.has_ended:
            self._pieces.get()

    def result(self) -> Any:
        """Wait for the whole answer of a function that does not stream, and return it."""
        body = b"".join(self.pieces())
        if self.failure is not None:
            raise self.failure
        return json.loads(body or b"null")
