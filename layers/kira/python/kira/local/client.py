"""A client of a running Kira: signs in, calls the API, and follows a run through lost connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from kira import __version__
from kira.domain.errors import KiraError, TooManyStreams, Unavailable
from kira.domain.events import LAST, Event
from kira.domain.ids import new_id
from kira.domain.limits import STREAM_PING_SECONDS

KEEP_ALIVE_SECONDS = 30
CALL_SECONDS = 60
SILENCE_SECONDS = 4 * STREAM_PING_SECONDS
CONNECT_SECONDS = 10
GONE_SECONDS = 120
PAUSES_S = (0.2, 0.5, 1.0, 2.0)

LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)
NOBODY = "No Kira answers at {address}. Start it with `kira up`, or give its address with --url."


class Refused(KiraError):
    """Kira did not do what was asked."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        """Repeat what Kira said: its status, and the `error` of its answer."""
        super().__init__(str(error.get("message") or f"Kira answered {status}."))
        self.status = status
        self.reason = str(error.get("code") or "")
        self.retry_after_s = float(error.get("retry_after_s") or 1)


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone; it is tried again."""


class Client:
    """Speaks with the Kira at one address; use it in `async with`."""

    def __init__(self, address: str) -> None:
        """Speak with the Kira at `address`, such as http://127.0.0.1:8080."""
        self.address = address.rstrip("/")
        self.token = ""
        self._refreshing = asyncio.Lock()
        self._session = aiohttp.ClientSession(
            headers={"User-Agent": f"kira chat/{__version__}"},
            # The refresh token comes as a cookie, also from an address that is a number.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_SECONDS),
        )

    async def close(self) -> None:
        """End the session, if there is one, and every connection."""
        try:
            if self.token:
                await self.call("POST", "/api/auth/sign-out")
        except (KiraError, *LOST):
            pass  # The session ends by itself.
        finally:
            await self._session.close()

    async def options(self) -> dict[str, Any]:
        """Return how one comes in here; raises Unavailable when nobody answers."""
        return await self.call("GET", "/api/auth/options")

    async def sign_in_locally(self, token: str) -> None:
        """Sign in with the token of the printed address."""
        self._keep(await self.call("POST", "/api/auth/local", {"token": token}))

    async def sign_in(self, email: str, password: str) -> None:
        """Sign in to an account."""
        self._keep(await self.call("POST", "/api/auth/sign-in", {"email": email, "password": password}))

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Return what Kira answers; an expired token is refreshed. Raises Refused and Unavailable."""
        token = self.token
        try:
            return await self._call(method, path, body, headers)
        except Refused as refused:
            if refused.reason != "TOKEN_EXPIRED":
                raise
        await self._refresh(token)
        return await self._call(method, path, body, headers)

    async def ask(self, path: str, body: dict[str, Any], lost: Callable[[], None]) -> dict[str, Any]:
        """POST what may be done only once, again while the connection breaks; `lost` is told of each time.

        Raises Refused, and Unavailable when Kira stays away for GONE_SECONDS.
        """
        sent, loop = {"Idempotency-Key": new_id()}, asyncio.get_running_loop()
        began = loop.time()
        tries = 0
        while True:
            try:
                return await self.call("POST", path, body, sent)
            except Unavailable:
                if loop.time() - began > GONE_SECONDS:
                    raise
            lost()
            await _rest(tries)
            tries += 1

    async def follow(self, run_id: str) -> AsyncGenerator[Event | Lost, None]:
        """Yield what a run says until its end, each event once; Lost whenever the connection breaks.

        Raises Refused, and Unavailable when Kira stays away for GONE_SECONDS.
        """
        after, tries, loop = 0, 0, asyncio.get_running_loop()
        heard = loop.time()
        while True:
            token = self.token
            try:
                async for event in self._events(run_id, after):
                    after, tries, heard = event.number, 0, loop.time()
                    yield event
                    if event.kind in LAST:
                        return
            except Refused as refused:
                if refused.reason == "TOKEN_EXPIRED":
                    await self._refresh(token)
                    continue
                if refused.reason not in (Unavailable.code, TooManyStreams.code):
                    raise
            except LOST:
                pass  # Kira restarts, or the network is away: the events after the last one are asked for again.
            if loop.time() - heard > GONE_SECONDS:
                raise Unavailable(NOBODY.format(address=self.address), retry_after_s=1)
            yield Lost()
            await _rest(tries)
            tries += 1

    async def _refresh(self, expired: str) -> None:
        """Put a fresh token in the place of `expired`, once: a refresh token that is used twice ends the session."""
        async with self._refreshing:
            if self.token == expired:
                self._keep(await self._call("POST", "/api/auth/refresh"))

    def _keep(self, signed_in: dict[str, Any]) -> None:
        self.token = signed_in["access_token"]

    @property
    def _identity(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        limit = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)
        sent = self._identity | (headers or {})
        try:
            async with self._session.request(
                method, self.address + path, json=body, headers=sent, timeout=limit
            ) as answer:
                if answer.status >= 400:
                    raise await _refusal(answer)
                found: dict[str, Any] = {} if answer.status == 204 else await answer.json()
                return found
        except (*LOST, aiohttp.InvalidURL, aiohttp.ContentTypeError):
            raise Unavailable(NOBODY.format(address=self.address), retry_after_s=1) from None

    async def _events(self, run_id: str, after: int) -> AsyncIterator[Event]:
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        sent = self._identity | ({"Last-Event-ID": str(after)} if after else {})
        async with self._session.get(f"{self.address}/api/runs/{run_id}/events", headers=sent, timeout=limit) as answer:
            if answer.status >= 400:
                raise await _refusal(answer)
            waiting = b""
            async for piece in answer.content.iter_any():
                *frames, waiting = (waiting + piece).split(b"\n\n")
                for frame in frames:
                    if (event := _event(frame)) is not None:
                        yield event


async def _rest(tries: int) -> None:
    """Wait before the next try, longer after each."""
    await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])


async def _refusal(answer: aiohttp.ClientResponse) -> Refused:
    try:
        error = (await answer.json())["error"]
    except (aiohttp.ContentTypeError, ValueError, KeyError, TypeError):
        error = {}
    return Refused(answer.status, error)


def _event(frame: bytes) -> Event | None:
    """Return the event of a frame; None for a comment, which only says that the connection lives."""
    fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line and not line.startswith(b":"))
    if b"event" not in fields:
        return None
    return Event(int(fields.get(b"id", b"0")), fields[b"event"].decode(), json.loads(fields.get(b"data", b"{}")))
