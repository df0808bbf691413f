"""A response of server-sent events that ends when the reader leaves or Kira stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kira.domain.errors import KiraError
from kira.services.seats import Seat

log = logging.getLogger("kira.web")

PING = b": ping\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """Sends frames as they come; leaner than the framework's own, because one token is one frame."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes], seat: Seat) -> None:
        """Send `frames`, and leave `seat` at the end."""
        self.frames = frames
        self.seat = seat
        self.status_code = 200
        self.background = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the frames end or the reader leaves."""
        pump = asyncio.create_task(self._pump(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((pump, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, gone):
                task.cancel()
            await asyncio.gather(pump, gone, return_exceptions=True)
            await self.seat.leave()
        error = None if pump.cancelled() else pump.exception()
        if isinstance(error, KiraError):
            # What was read stays true: the reader comes back with the last number, here or at another instance.
            log.warning("an event stream ended early: %s", error.message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif error is not None:
            raise error

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for frame in self.frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
