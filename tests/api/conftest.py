"""A served Kira and the users who call it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
import pytest
from tests.api.caller import Caller

from kira.testing.serving import Plan, Served, serve


@dataclass(frozen=True)
class Home:
    """A served Kira with two users, of whom `alice` is the admin because she was first."""

    served: Served
    nobody: Caller
    alice: Caller
    bob: Caller


class Homes(Protocol):
    """Opens homes on the test's own database file."""

    def __call__(self, plan: Plan | None = None) -> AbstractHome: ...


class AbstractHome(Protocol):
    """A home that is open within a block."""

    async def __aenter__(self) -> Home: ...
    async def __aexit__(self, *_: object) -> bool | None: ...


@pytest.fixture
def home_of(tmp_path: Path) -> Homes:
    @asynccontextmanager
    async def opened(plan: Plan | None = None) -> AsyncIterator[Home]:
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            serve(tmp_path / "kira.sqlite", plan) as served,
            aiohttp.ClientSession(
                served.address, connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
        ):
            alice = await Caller(session).sign_up("alice")
            yield Home(served, Caller(session), alice, await Caller(session).sign_up("bob"))

    return opened


@pytest.fixture
async def home(home_of: Homes) -> AsyncIterator[Home]:
    async with home_of() as opened:
        yield opened
