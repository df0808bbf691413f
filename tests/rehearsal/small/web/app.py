"""A web application that streams, sets cookies, and answers with bytes."""

from __future__ import annotations

import asyncio
import json
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer as the path says."""
    assert scope["type"] == "http"
    body = (await receive())["body"]
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    if scope["path"] == "/words":
        await _begin(
            send, 200, (b"content-type", b"text/event-stream"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")
        )
        for word in scope["query_string"].decode().split("."):
            await send({"type": "http.response.body", "body": word.encode(), "more_body": True})
            await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b""})
    elif scope["path"] == "/echo":
        await _begin(send, 201, (b"content-type", b"application/json"))
        told = {"headers": headers, "query": scope["query_string"].decode(), "body": body.decode("latin-1")}
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})
    else:
        await _begin(send, 204 if scope["path"] == "/ready" else 404)
        await send({"type": "http.response.body", "body": b""})


async def _begin(send: Any, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
