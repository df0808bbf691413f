"""What runs say, over HTTP: streams of server-sent events that any tab can resume."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

from fastapi import Header
from starlette.responses import Response

from kira.domain.errors import Unauthenticated
from kira.domain.events import Event
from kira.domain.limits import SESSION_LOOK_SECONDS
from kira.ports.stream import Said
from kira.services.seats import Seat
from kira.web.areas import routes_of
from kira.web.event_stream import PING, EventStream
from kira.web.signed_in import KiraOf, RunId, Visitor

router = routes_of("chat")

Item = TypeVar("Item")
LastEventId = Annotated[str | None, Header(description="The number of the last event that was read.")]
TEXT = {"type": "string"}
EVENT = {
    "type": "object",
    "description": "One event of the stream; `data` is one JSON object.",
    "properties": {"id": TEXT, "event": TEXT, "data": TEXT},
    "required": ["event", "data"],
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": EVENT}}}
}


@router.get("/runs/{run_id}/events", response_class=Response, responses=STREAM)
async def follow_run(kira: KiraOf, visit: Visitor, run_id: RunId, last_event_id: LastEventId = None) -> Response:
    """Follow what a run says, from the event after Last-Event-ID."""
    batches = await kira.runs.follow(visit, run_id, _number(last_event_id) or 0)
    seat = await kira.seats.take(visit)
    return EventStream(_frames(seat, batches), seat)


@router.get("/events", response_class=Response, responses=STREAM)
async def follow_all(kira: KiraOf, visit: Visitor, last_event_id: LastEventId = None) -> Response:
    """Follow all of the user's active runs; says `idle` and ends when none is left."""
    batches = await kira.runs.follow_user(visit, _number(last_event_id))
    seat = await kira.seats.take(visit)
    return EventStream(_user_frames(seat, batches), seat)


async def _frames(seat: Seat, batches: AsyncIterator[list[Event]]) -> AsyncIterator[bytes]:
    async for batch in _while_kept(seat, batches):
        yield b"".join(event.frame() for event in batch) or PING


async def _user_frames(seat: Seat, batches: AsyncIterator[list[Said]]) -> AsyncIterator[bytes]:
    async for batch in _while_kept(seat, batches):
        yield b"".join(_user_frame(said) for said in batch) or PING
    yield b"event: idle\ndata: {}\n\n"


async def _while_kept(seat: Seat, batches: AsyncIterator[list[Item]]) -> AsyncIterator[list[Item]]:
    """Pass `batches` on; raises Unauthenticated once the session of the reader has ended or the seat was lost.

    To the reader that is a stream which broke off, and another request says why.
    """
    looked = time.monotonic()
    async for batch in batches:
        if time.monotonic() - looked > SESSION_LOOK_SECONDS:
            looked = time.monotonic()
            if not await seat.is_kept():
                raise Unauthenticated("The session or the seat of this event stream has ended.")
        yield batch


def _user_frame(said: Said) -> bytes:
    event = Event(said.number, said.event.kind, said.event.data)
    source = said.source
    return event.frame(run_id=source.run_id, conversation_id=source.conversation_id, kind=source.kind)


def _number(text: str | None) -> int | None:
    """Return a Last-Event-ID as a number; what no stream of Kira's ever sent means from the start."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
