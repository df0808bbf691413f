"""Functions behind HTTP: some areas of the API on one world, built once outside the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from mangum import Mangum
from mangum.handlers import HTTPGateway

from kira.cloud.front import Front, InTime, Origin
from kira.cloud.settings import read
from kira.cloud.telling import Voice
from kira.cloud.world import Cloud
from kira.services.kira import Kira
from kira.services.seats import SharedSeats
from kira.web.app import app_of
from kira.web.door import Door

Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]


class Gateway(HTTPGateway):
    """Events of an HTTP API; an answer without a body stays without a type, as at home."""

    def __call__(self, response: Any) -> dict[str, Any]:
        """Return the answer as the gateway takes it."""
        has_type = any(name.lower() == b"content-type" for name, _ in response["headers"])
        told = super().__call__(response)
        if not has_type:
            told["headers"].pop("content-type", None)
        return told


class Served:
    """The handler of one function: one loop and one world for as long as its environment lives."""

    def __init__(self, front: Front) -> None:
        """Answer with `front`."""
        self.front = front
        self.loop = asyncio.new_event_loop()
        self._mangum = Mangum(front, lifespan="off", custom_handlers=[Gateway])

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        """Answer one event."""
        asyncio.set_event_loop(self.loop)  # pools belong to a loop, and the adapter takes the current one
        self.front.voice.begins(context)
        return self._mangum(event, context)


def serve(*routers: APIRouter) -> Handler:
    """Return the handler of a function that serves `routers`. Raises WrongSetting."""
    front = front_of(*routers)
    return front.world.traced(Served(front))


def front_of(*routers: APIRouter) -> Front:
    """Return the app of `routers` with everything that stands around it, on the world of this environment."""
    settings = read()
    settings.need("database_host", "master_key_secret")
    voice, world = Voice(settings), Cloud(settings)
    world.secrets.expect(settings.master_key_secret, settings.database_secret, settings.origin_secret)
    kira = Kira(
        world,
        settings.accounts,
        settings.limits,
        world.line,
        seats=SharedSeats(),
        alarm=world.alarm,
        letters=world.letters,
    )
    app = app_of(kira, routers)
    app.add_middleware(InTime)
    secret = settings.origin_secret
    return Front(Door(app), world, voice, Origin((lambda: world.secrets.text(secret)) if secret else None))
