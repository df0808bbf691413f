"""A served Kira and the users who call it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
import pytest
from tests import homes
from tests.api.caller import Caller
from tests.rehearsal import home as aws

from kira.testing.serving import Plan, Served, serve


@dataclass(frozen=True)
class Home:
    """A served Kira with two users, of whom `alice` is the admin because she was first."""

    served: Served
    nobody: Caller
    alice: Caller
    bob: Caller


class Homes(Protocol):
    """Opens homes on the test's own database file; `again` when the users are there already."""

    def __call__(self, plan: Plan | None = None, *, again: bool = False) -> AbstractAsyncContextManager[Home]: ...


@pytest.fixture
def dashboard(tmp_path: Path) -> Path:
    """A small dashboard, and beside it a file that no address may reach."""
    folder = tmp_path / "dashboard"
    for name in ("index.html", "assets/index-1.js", "icons/icon.svg", "manifest.webmanifest", ".vite/manifest.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"built {name}")
    (tmp_path / "secret.txt").write_text("a secret")
    return folder


@pytest.fixture
def home_of(tmp_path: Path) -> Homes:
    @asynccontextmanager
    async def opened(plan: Plan | None = None, *, again: bool = False) -> AsyncIterator[Home]:
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            served_at(tmp_path, plan, again=again) as served,
            aiohttp.ClientSession(
                served.address, connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
        ):
            nobody = Caller(session)
            enter = nobody.sign_in if again else nobody.sign_up
            yield Home(served, nobody, await enter("alice"), await enter("bob"))

    return opened


@pytest.fixture
async def home(home_of: Homes) -> AsyncIterator[Home]:
    async with home_of() as opened:
        yield opened


def served_at(folder: Path, plan: Plan | None = None, *, again: bool = False) -> AbstractAsyncContextManager[Served]:
    """Serve a Kira on the home of this run; on a file or a server it is the database of `folder`."""
    if homes.is_aws():
        return aws.serve(folder, plan, again=again)
    return serve(homes.open_database(folder / "kira.sqlite"), plan)
