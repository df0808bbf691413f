"""What stands around the app in a function: whom to believe, how much time there is, and what is told of it."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kira.cloud.telling import Voice
from kira.cloud.world import Cloud
from kira.domain.errors import Forbidden, Unavailable
from kira.domain.limits import FUNCTION_ANSWER_SECONDS
from kira.services.visits import Visit
from kira.web.door import Door
from kira.web.errors import answer

ORIGIN, VIEWER, HOST = b"x-kira-origin", b"cloudfront-viewer-address", b"x-forwarded-host"
HEALTH = "/api/health"
PAST = "Kira is reached by the address of its pages. Past it nothing is answered."
LATE = "This took longer than one request may take. If the database slept, it is waking up: try again in a few seconds."


@dataclass(frozen=True, slots=True)
class Origin:
    """Believes CloudFront about who asks and by which name, and nobody else.

    Whoever knows the address of the API can call it past CloudFront, past its firewall and with any header. So where
    there is a secret that CloudFront adds, nobody is let in without it. Where there is none, the address is that of
    whoever opened the connection, which nobody can choose.
    """

    secret: Callable[[], str] | None

    def admits(self, scope: Scope) -> bool:
        """Say whether the request came on the right way, and put the address and host that are believed into `scope`.

        Whether Kira answers at all may be asked from anywhere.
        """
        if self.secret is None:
            return True
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(ORIGIN, b""), self.secret().encode()):
            return bool(scope["path"] == HEALTH)
        if client := _address(headers.get(VIEWER, b"").decode("latin-1")):
            scope["client"] = (client, 0)
        if host := headers.get(HOST):
            kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*kept, (b"host", host)]
        return True


@dataclass(frozen=True, slots=True)
class InTime:
    """Answers before the function is ended, which would be an answer that nobody understands."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through while there is time."""
        context = scope.get("aws.context")
        if context is None:
            await self.app(scope, receive, send)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        left_s = context.get_remaining_time_in_millis() / 1000 - FUNCTION_ANSWER_SECONDS
        try:
            async with asyncio.timeout(max(left_s, FUNCTION_ANSWER_SECONDS)):
                await self.app(scope, receive, sent)
        except TimeoutError:
            if begun:
                raise
            await answer(Unavailable(LATE, retry_after_s=5))(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Front:
    """The outermost of a function: every request comes through here, and is settled when it is answered."""

    door: Door
    world: Cloud
    voice: Voice
    origin: Origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http":
            await self.door(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        is_admitted = self.origin.admits(scope)
        route = self._route(scope)
        try:
            await (self.door if is_admitted else answer(Forbidden(PAST)))(scope, receive, sent)
        finally:
            await self.world.settle()
            visit = scope.get("kira.visit")
            self.voice.knows(user_id=visit.user_id if isinstance(visit, Visit) else None)
            self.voice.answered(scope["method"], route, status, time.perf_counter() - began)

    def _route(self, scope: Scope) -> str:
        """Return the address as the documents write it; one that nobody knows may be anything, so it is not told."""
        for route in self.door.app.router.routes:
            if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
                run_id = route.matches(scope)[1]["path_params"].get("run_id")
                self.voice.knows(run_id=str(run_id) if run_id else None)
                return route.path
        return "unknown"


def _address(viewer: str) -> str | None:
    """Return the address in `address:port`, where that of IPv6 may or may not stand in brackets."""
    try:
        return str(ipaddress.ip_address(viewer.rpartition(":")[0].strip("[]")))
    except ValueError:
        return None
