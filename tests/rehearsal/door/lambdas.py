"""What a gateway does with a function: may it call it, and what does its answer mean in HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

from tests.rehearsal.host.function import Function
from tests.rehearsal.host.invocation import DELIMITER, Failed, Invocation, Throttled, TooLarge
from tests.rehearsal.serving import Headers, Reply


class Functions(Protocol):
    """The deployed functions."""

    def at(self, arn: str) -> Function:
        """Return the function of an ARN."""

    def may_invoke(self, arn: str, service: str, source: str) -> bool:
        """Say whether the function lets in a service on behalf of `source`."""


def told(status: int, message: str) -> Reply:
    """Return an answer in a gateway's own words."""
    return Reply(status, [("Content-Type", "application/json")], (json.dumps({"message": message}).encode(),))


def buffered(function: Function, event: dict[str, Any], timeout_s: float) -> Reply:
    """Return what a function answers to an event of HTTP."""
    try:
        with function.running(json.dumps(event).encode()) as invocation:
            if not invocation.answered.wait(timeout_s):
                return told(503, "Service Unavailable")
            return _reply(invocation.result())
    except TooLarge:
        return told(413, "Request Too Long")
    except Throttled:
        return told(503, "Service Unavailable")
    except Failed:
        return told(500, "Internal Server Error")


def streamed(function: Function, event: dict[str, Any], timeout_s: float) -> Reply:
    """Return what a function answers as soon as it begins, and pass on the rest as it comes."""
    stack = ExitStack()
    try:
        invocation = stack.enter_context(function.running(json.dumps(event).encode()))
        if not invocation.answered.wait(timeout_s):
            raise Failed("Timeout", f"no answer within {timeout_s} s")
        pieces = invocation.pieces()
        head, first = _head(invocation, pieces)
    except Failed as failed:
        stack.close()
        return told(429 if isinstance(failed, Throttled) else 502, "Internal server error")
    return Reply(int(head.get("statusCode", 200)), _headers(head), _rest(first, pieces, stack))


def _rest(first: bytes, pieces: Iterator[bytes], stack: ExitStack) -> Iterator[bytes]:
    with stack:
        yield first
        yield from pieces


def _head(invocation: Invocation, pieces: Iterator[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read up to the delimiter; a function that does not stream has none, and the gateway refuses that."""
    if not invocation.framed:
        raise invocation.failure or Failed("BadGateway", "the function does not stream")
    read = b""
    while DELIMITER not in read:
        read += next(pieces)
    head, _, first = read.partition(DELIMITER)
    return json.loads(head), first


def _headers(head: dict[str, Any]) -> Headers:
    headers = [(name, value) for name, value in (head.get("headers") or {}).items()]
    headers += [(name, value) for name, values in (head.get("multiValueHeaders") or {}).items() for value in values]
    return headers + [("Set-Cookie", cookie) for cookie in head.get("cookies") or []]


def _reply(answer: Any) -> Reply:
    """An answer without a status is a body, says the second version of the payload."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Reply(200, [("Content-Type", "application/json")], (json.dumps(answer).encode(),))
    body = answer.get("body") or ""
    data = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    return Reply(int(answer["statusCode"]), _headers(answer), (data,))


def body_of(data: bytes) -> tuple[str | None, bool]:
    """Return a body as a payload has it: text, or base64 of what is not text."""
    try:
        return data.decode() or None, False
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), True
