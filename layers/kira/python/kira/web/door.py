"""The door: what every answer carries, what no request may exceed, and how many there were."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from kira.domain.errors import TooLarge
from kira.domain.limits import BODY_BYTES_MAX
from kira.domain.moments import SECOND
from kira.services.visits import Visit
from kira.web.errors import answer, status_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types dompurify svelte-trusted-html kira kira-sw"
)
SECURITY_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]


class _Exceeded(HTTPException):
    """The body turned out to be larger than it may be; of this class because the framework hides any other."""

    def __init__(self) -> None:
        super().__init__(status_of(_too_large()), _too_large().message)


@dataclass(slots=True)
class Door:
    """Stands in front of the whole app."""

    app: FastAPI
    answered: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Let the app's metrics read the counts."""
        self.app.state.answered = self.answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self.answered[message["status"]] += 1
                message["headers"] = [*message["headers"], *SECURITY_HEADERS, *_limit_headers(scope), *self._parting()]
            await send(message)

        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length[:12]) > BODY_BYTES_MAX:
            await answer(_too_large())(scope, receive, sent)
            return
        try:
            await self.app(scope, _bounded(receive), sent)
        except _Exceeded:
            if not begun:
                await answer(_too_large())(scope, receive, sent)

    def _parting(self) -> list[tuple[bytes, bytes]]:
        """While Kira stops, no proxy is to keep a connection that would be closed under its next request."""
        return [(b"connection", b"close")] if getattr(self.app.state, "unready", None) else []


def _bounded(receive: Receive) -> Receive:
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > BODY_BYTES_MAX:
            raise _Exceeded
        return message

    return received


def _too_large() -> TooLarge:
    return TooLarge(f"This request is larger than {BODY_BYTES_MAX // 1_000_000} MB, which is the most Kira accepts.")


def _limit_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return how much of the `api` limit is left (draft-ietf-httpapi-ratelimit-headers)."""
    visit = scope.get("kira.visit")
    if not isinstance(visit, Visit) or visit.api is None:
        return []
    limit, now = visit.api, visit.clock.now()
    policy = f'"{limit.name}";q={limit.count};w={limit.period // SECOND}'
    headers = [(b"ratelimit-policy", policy.encode())]
    if visit.arrival is not None:
        ahead = max(0, visit.arrival - now)
        left = max(0, (limit.tolerance + limit.interval - ahead) // limit.interval)
        reset = math.ceil(ahead / SECOND)
        headers.append((b"ratelimit", f'"{limit.name}";r={left};t={reset}'.encode()))
    return headers
