"""Users of several hosts: each comes from an address of its own, repeats what failed, and reads on where it stopped."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

PASSWORD = "correct horse battery"
TRIES = 200
PAUSE_SECONDS = 0.1
LAST = ("done", "failed", "cancelled")
BROKEN = (aiohttp.ClientError, ConnectionError, TimeoutError)
_numbers = count(1)


@dataclass(frozen=True)
class Frame:
    """One event as it came."""

    number: int
    kind: str
    data: dict[str, Any]


@dataclass
class Reading:
    """What was read of one run, over any number of connections."""

    frames: list[Frame] = field(default_factory=list)
    connections: int = 0

    @property
    def kinds(self) -> list[str]:
        """The kinds of all events."""
        return [frame.kind for frame in self.frames]

    @property
    def last(self) -> str:
        """The number to go on from."""
        return str(self.frames[-1].number) if self.frames else ""

    @property
    def has_ended(self) -> bool:
        """Say whether the run has."""
        return bool(self.frames) and self.frames[-1].kind in LAST

    @property
    def text(self) -> str:
        """The answer, as somebody sees it who drops what came before a restart."""
        kinds = self.kinds
        begin = len(kinds) - kinds[::-1].index("restart") if "restart" in kinds else 0
        return "".join(frame.data["text"] for frame in self.frames[begin:] if frame.kind == "delta")


@dataclass
class Request:
    """A request that was sent; `refusal` is what the server said that it could not, or None when nothing came."""

    path: str
    status: int = 0
    retry_after: str | None = None


@dataclass
class Visitor:
    """One user, signed up, with a session; what failed is kept in `failed`."""

    session: aiohttp.ClientSession
    number: int
    user_id: str = ""
    open: set[int] = field(default_factory=set)
    failed: list[tuple[int, Request]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """How streams ended that did not end as they should."""
    _requests: Any = field(default_factory=lambda: count(1))

    @property
    def email(self) -> str:
        """The e-mail that it signs in with."""
        return f"user{self.number}@example.org"

    async def sign_up(self, address: str) -> None:
        """Make an account."""
        body = {"email": self.email, "password": PASSWORD}
        async with self.session.post(f"{address}/api/auth/sign-up", json=body) as response:
            assert response.status == 201, await response.text()
            given = await response.json()
        self.user_id = given["user"]["id"]
        self.session.headers["Authorization"] = f"Bearer {given['access_token']}"

    async def call(self, method: str, url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Ask once; what is broken raises."""
        async with self.session.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith(("{", "[")) else text

    async def insist(self, url: str, body: Any = None, **headers: str) -> Any:
        """POST until it is accepted, as a careful client does; each failure is kept."""
        for _ in range(TRIES):
            request, number = Request(url.partition("/api")[2]), next(self._requests)
            self.open.add(number)
            try:
                async with self.session.post(url, json=body, headers=headers) as response:
                    request.status = response.status
                    request.retry_after = response.headers.get("Retry-After")
                    if response.status < 400:
                        return await response.json()
                    assert response.status >= 500, await response.text()
            except BROKEN:
                pass
            finally:
                self.open.discard(number)
            self.failed.append((number, request))
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError(f"{url} was refused {TRIES} times")

    async def conversation(self, address: str) -> str:
        """Begin a conversation that needs no title."""
        return str((await self.insist(f"{address}/api/conversations", {"title": "a title"}))["id"])

    async def ask(self, address: str, content: str, model: str | None = None) -> dict[str, Any]:
        """Ask in a conversation of its own; return message and run."""
        conversation = await self.conversation(address)
        body = {"content": content} | ({"model": model} if model else {})
        key = {"Idempotency-Key": f"{self.number} {next(_numbers)}"}
        asked: dict[str, Any] = await self.insist(f"{address}/api/conversations/{conversation}/messages", body, **key)
        return asked

    async def frames(self, address: str, run: str, after: str = "") -> AsyncIterator[Frame]:
        """Read a run's events until the connection ends."""
        headers = {"Last-Event-ID": after} if after else {}
        url = f"{address}/api/runs/{run}/events"
        number, kind = 0, ""
        async with self.session.get(url, headers=headers) as response:
            if response.status != 200:
                raise aiohttp.ClientError(await response.text())
            async for raw in response.content:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "id":
                    number = int(value)
                elif name == "event":
                    kind = value
                elif name == "data":
                    yield Frame(number, kind, json.loads(value))

    async def read(self, address: str, run: str) -> Reading:
        """Read a run to its end, however often the connection breaks."""
        reading = Reading()
        for _ in range(TRIES):
            reading.connections += 1
            try:
                async for frame in self.frames(address, run, reading.last):
                    reading.frames.append(frame)
            except BROKEN as error:
                self.broken.append(f"{run}: {error!r}")
            if reading.has_ended:
                return reading
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError(f"run {run} did not end: {reading.frames[-3:]}")


@asynccontextmanager
async def visitor(address: str) -> AsyncIterator[Visitor]:
    """Sign a new user up at `address`, from a network address that only this user has."""
    number = next(_numbers)
    own = (f"127.1.{number // 250}.{number % 250 + 1}", 0)
    # A proxy of the tests has a certificate that nobody knows.
    connector = aiohttp.TCPConnector(limit=0, local_addr=own, family=socket.AF_INET, ssl=False)
    timeout = aiohttp.ClientTimeout(total=40)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
        made = Visitor(session, number)
        await made.sign_up(address)
        yield made
