"""Somebody who calls the API over real HTTP: requests, event streams, and the usual first steps."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tests import homes
from yarl import URL

from kira.testing.visiting import PASSWORD

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back: `body` as bytes, `json` for the API's usual answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """The status and the code of an error in the API's one shape."""
        told = self.json
        assert set(told) == {"error"}
        assert isinstance(told["error"]["message"], str)
        return self.status, told["error"]["code"]


@dataclass(frozen=True)
class Frame:
    """One server-sent event."""

    id: int | None
    kind: str
    data: dict[str, Any]


@dataclass
class Caller:
    """Calls with the access token of the last sign-in, or with none."""

    session: aiohttp.ClientSession
    token: str | None = None
    refresh_token: str | None = None
    user: dict[str, Any] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send `body` as JSON (bytes as they are); underscores in the names of `headers` stand for dashes."""
        data = None if body is None else io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        url = URL(str(self.session._base_url).rstrip("/") + path, encoded=True)
        asked = self.session.request(method, url, data=data, headers=self._headers(data, headers))
        async with asyncio.timeout(PATIENCE_S), asked as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def patch(self, path: str, body: object) -> Answer:
        return await self.call("PATCH", path, body)

    async def delete(self, path: str) -> Answer:
        return await self.call("DELETE", path)

    async def sign_up(self, name: str) -> Caller:
        """Make the account `name`@example.org and return its user."""
        form = {"email": f"{name}@example.org", "password": PASSWORD, "name": name}
        return await self._enter("sign-up", form, 201)

    async def sign_in(self, name: str) -> Caller:
        """Return the user with another session, as on another device."""
        return await self._enter("sign-in", {"email": f"{name}@example.org", "password": PASSWORD}, 200)

    async def begin(self, **body: str) -> str:
        """Begin a conversation and return its id."""
        answer = await self.post("/api/conversations", body or None)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    async def send(self, conversation_id: str, content: str, key: str | None = None, **body: object) -> dict[str, Any]:
        """Send a message and return `{message, run}`."""
        headers = {} if key is None else {"Idempotency_Key": key}
        path = f"/api/conversations/{conversation_id}/messages"
        answer = await self.post(path, {"content": content, **body}, **headers)
        assert answer.status == 202, answer.body
        return dict(answer.json)

    async def ask(self, conversation_id: str, content: str, **body: Any) -> dict[str, Any]:
        """Send a message, wait for its end, and return the run."""
        asked = await self.send(conversation_id, content, **body)
        return await self.ended(asked["run"]["id"])

    async def ended(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run and return it."""
        await self.follow(f"/api/runs/{run_id}/events")
        return dict((await self.get(f"/api/runs/{run_id}")).json)

    async def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        """Return all messages of a conversation, newest last."""
        answer = await self.get(f"/api/conversations/{conversation_id}/messages?limit=200")
        assert answer.status == 200, answer.body
        return list(answer.json["items"])

    async def follow(self, path: str, last: object = None) -> list[Frame]:
        """Read an event stream to its end."""
        async with asyncio.timeout(PATIENCE_S), self.stream(path, last) as frames:
            return [frame async for frame in frames]

    @asynccontextmanager
    async def stream(self, path: str, last: object = None) -> AsyncIterator[AsyncIterator[Frame]]:
        """Open an event stream, after the event `last`."""
        headers = self._headers(None, {} if last is None else {"Last_Event_ID": str(last)})
        async with self.session.get(path, headers=headers) as response:
            assert response.status == 200, await response.read()
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            yield _frames(response.content)

    def _headers(self, data: io.BytesIO | None, more: Mapping[str, str]) -> dict[str, str]:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        return headers

    async def _enter(self, way: str, form: dict[str, str], status: int) -> Caller:
        answer = await self.post(f"/api/auth/{way}", form)
        assert answer.status == status, answer.body
        refresh_token = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
        return Caller(self.session, answer.json["access_token"], refresh_token, answer.json["user"])


def crowd() -> int:
    """Return how many ask at once; on AWS each of them is answered by a process of its own, which has to start."""
    return 8 if homes.is_aws() else 20


def text_of(frames: list[Frame]) -> str:
    """Return the text that a reader of `frames` has at the end: a `restart` drops what came before."""
    text = ""
    for frame in frames:
        text = "" if frame.kind == "restart" else text + (frame.data["text"] if frame.kind == "delta" else "")
    return text


async def until(frames: AsyncIterator[Frame], kind: str) -> Frame:
    """Read up to the first event of `kind` and return it."""
    async with asyncio.timeout(PATIENCE_S):
        async for frame in frames:
            if frame.kind == kind:
                return frame
    raise AssertionError(f"the stream ended without {kind}")


async def _frames(content: aiohttp.StreamReader) -> AsyncIterator[Frame]:
    fields: dict[str, str] = {}
    async for line in content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            number = int(fields["id"]) if "id" in fields else None
            yield Frame(number, fields["event"], json.loads(fields["data"]))
            fields = {}
