"""What a function answers is what the laptop answers, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests import homes
from tests.api.caller import Caller
from tests.cloud.calling import FUNCTIONS, function

from kira.domain.ids import new_id
from kira.domain.limits import BODY_BYTES_MAX
from kira.testing.serving import Plan, serve
from kira.web.apps import AREAS

CHAT: list[tuple[str, str, object, dict[str, str]]] = [
    ("GET", f"/api/conversations/{new_id()}", None, {}),
    ("GET", "/api/conversations/nothing", None, {}),
    ("GET", "/api/conversations", None, {"authorization": "Bearer forged"}),
    ("GET", "/api/conversations", None, {"authorization": "Basic forged"}),
    ("POST", "/api/conversations", b"{", {}),
    ("POST", "/api/conversations", {"title": 7}, {}),
    ("POST", "/api/conversations", b" " * (BODY_BYTES_MAX + 1), {}),
    ("PUT", "/api/conversations", None, {}),
    ("HEAD", "/api/conversations", None, {}),
    ("GET", "/api/conversations/", None, {}),
    ("GET", "/api/nowhere?at=all", None, {}),
    ("POST", f"/api/conversations/{new_id()}/messages", {"content": ""}, {}),
]
AUTH: list[tuple[str, str, object, dict[str, str]]] = [
    ("GET", "/api/health", None, {}),
    ("GET", "/api/auth/options", None, {}),
    ("POST", "/api/auth/refresh", None, {}),
    ("POST", "/api/auth/sign-up", {"email": "nobody", "password": "x"}, {}),
    ("POST", "/api/auth/sign-in", {"email": "nobody@example.org", "password": "wrong"}, {}),
    ("GET", "/api/auth/me", None, {}),
]


@pytest.mark.parametrize(("name", "asked"), [("chat", CHAT), ("auth", AUTH)])
async def test_a_function_answers_what_home_answers(
    environment: dict[str, str], tmp_path: Path, name: str, asked: list[tuple[str, str, object, dict[str, str]]]
) -> None:
    database = homes.open_database(tmp_path / "kira.sqlite")
    async with (
        serve(database, Plan(works=False)) as served,
        aiohttp.ClientSession(served.address, auto_decompress=False) as session,
    ):
        with function(name, tmp_path, environment) as running:
            home = Caller(session)
            for method, path, given, headers in asked:
                here = await home.call(method, path, given, **headers)
                there = running.call(method, path, given, **headers)
                body = b"" if method == "HEAD" else there.body  # which a gateway leaves out, as any server does
                assert (there.status, body) == (here.status, here.body), path
                assert there.headers == _comparable(here.headers), path


def _comparable(headers: Any) -> dict[str, str]:
    """Return the headers of home that a gateway also carries; the server itself adds when it answered."""
    return {name.lower(): value for name, value in headers.items() if name.lower() not in ("date", "connection")}


def test_the_functions_together_serve_what_home_serves() -> None:
    """Home also has metrics of its process, which a function has not, and the documents, which are files on AWS."""
    told = "".join(path.read_text() for path in FUNCTIONS.glob("*/handler.py"))
    modules = {_module(router) for area in AREAS.values() for router in area}
    assert {name for name in modules if f"{name}.router" not in told} == {"metrics"}


def _module(router: Any) -> str:
    return str(router.routes[0].endpoint.__module__.rpartition(".")[2])
