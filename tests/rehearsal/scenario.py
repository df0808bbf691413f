"""What somebody does who comes for the first time: opens the page, makes an account, asks, and reads the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
from tests.api.caller import Caller, Frame, text_of

PATIENCE_S = 20.0
Got = TypeVar("Got")


class Broken(AssertionError):
    """A step of the scenario did not go as at home."""


@dataclass
class Seen:
    """What the user saw."""

    frames: list[Frame] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """When each frame came, in seconds since the first one."""

    @property
    def text(self) -> str:
        """The answer."""
        return text_of(self.frames)


@asynccontextmanager
async def visiting(address: str) -> AsyncIterator[Caller]:
    """Give somebody without an account."""
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Caller(session)


async def ask_first(nobody: Caller, name: str, text: str = "How are you?", patience_s: float = PATIENCE_S) -> Seen:
    """Do all of it as the new user `name`; raises Broken with the step that failed."""
    page = await _step("the page opens", nobody.get("/"))
    _must(page.status == 200 and b"<!doctype html>" in page.body, f"the page is {page.status} {page.body[:200]!r}")
    user = await _step("an account is made", nobody.sign_up(name))
    begun = await _step("a conversation begins", user.begin())
    sent = await _step("a message is sent", user.send(begun, text))
    seen = Seen()
    try:
        async with asyncio.timeout(patience_s), user.stream(f"/api/runs/{sent['run']['id']}/events") as frames:
            start = time.monotonic()
            async for frame in frames:
                seen.frames.append(frame)
                seen.moments.append(time.monotonic() - start)
    except (TimeoutError, AssertionError, aiohttp.ClientError) as error:
        raise Broken(f"the answer does not come: {error!r} after {[each.kind for each in seen.frames]}") from error
    _must(seen.frames[-1].kind == "done", f"the answer ended with {seen.frames[-1:]}")
    kept = await _step("the conversation is read", user.messages(begun))
    _must(kept[-1]["content"] == seen.text, f"kept is {kept[-1]!r}, read was {seen.text!r}")
    return seen


async def _step(what: str, doing: Awaitable[Got]) -> Got:
    try:
        return await doing
    except (AssertionError, TimeoutError, aiohttp.ClientError, KeyError, ValueError) as error:
        raise Broken(f"{what}: {error!r}") from error


def _must(is_so: bool, what: str) -> None:
    if not is_so:
        raise Broken(what)
