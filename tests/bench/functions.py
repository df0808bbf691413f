"""Functions on AWS beside a bare one: what Kira adds to a cold start and to a warm request."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict
from tests.aws import Aws, aws_server
from tests.bench.marks import Mark
from tests.cloud.calling import Function, function, http_event, settings
from tests.engines import fresh
from tests.functions.layers import path_of

STARTS, REQUESTS, ROUNDS = 12, 200, 3
# A function that does what any behind FastAPI and Mangum does: one route with a body, one without.
BARE = '''
"""A function that does nothing."""
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel
app = FastAPI()
class Given(BaseModel):
    number: int
@app.get("/api/health")
async def health(): return {"status": "ok"}
@app.post("/api/echo")
async def echo(given: Given): return {"number": given.number}
handler = Mangum(app, lifespan="off")
'''


def functions() -> list[Mark]:
    """Start both in turns, then ask both in turns."""
    with tempfile.TemporaryDirectory() as name, aws_server() as aws:
        folder = Path(name)
        bare = folder / "bare"
        bare.mkdir()
        (bare / "handler.py").write_text(BARE)
        alone = {"bare": [str(bare), *path_of("chat")[1:]], "chat": path_of("chat")}
        given = {"bare": {}, "chat": _environment(aws)}
        asked = {"bare": http_event("GET", "/api/health"), "chat": _asks(folder, given["chat"])}
        return [_cold(folder, alone, given, asked), _warm(folder, alone, given, asked)]


def _environment(aws: Aws) -> dict[str, str]:
    found = conninfo_to_dict(fresh("postgres16")[1])
    # A bench is faster than the limit of a user.
    return settings(aws, str(found["host"]), 5432, str(found["dbname"]), KIRA_LIMIT_API="1000000/1m")


def _asks(folder: Path, environment: dict[str, str]) -> dict[str, object]:
    with function("auth", folder, environment) as auth:
        form = {"email": "alice@example.org", "password": "correct horse battery"}
        token = auth.call("POST", "/api/auth/sign-up", form).json["access_token"]
    return http_event("GET", "/api/conversations", authorization=f"Bearer {token}")


def _cold(
    folder: Path, alone: dict[str, list[str]], given: dict[str, dict[str, str]], asked: Mapping[str, object]
) -> Mark:
    times: dict[str, list[float]] = {"bare": [], "chat": []}
    for _ in range(STARTS):
        for name, found in times.items():
            began = time.perf_counter()
            with function("chat", folder, given[name], alone=alone[name]) as running:
                _check(running, asked[name])
                found.append(time.perf_counter() - began)
    # The machine is shared, and a start is never faster than it is: the fastest tells what it takes.
    ratio = min(times["chat"]) / min(times["bare"])
    rule = (
        f"process start to the first answer, fastest of {STARTS} in turns: `chat` from its folder and the layers alone "
        "(a list of conversations, secrets over HTTP, PostgreSQL on a socket) over a bare FastAPI and Mangum function "
        f"({min(times['bare']):.3f} s)"
    )
    return Mark("cold start of chat over bare", ratio, 1.7, "x", rule)


def _warm(
    folder: Path, alone: dict[str, list[str]], given: dict[str, dict[str, str]], asked: Mapping[str, object]
) -> Mark:
    with (
        function("chat", folder, given["bare"], alone=alone["bare"]) as bare,
        function("widgets", folder, given["chat"], alone=alone["chat"]) as chat,
    ):
        running = {"bare": bare, "chat": chat}
        times: dict[str, list[float]] = {"bare": [], "chat": []}
        for name in [*times] * (ROUNDS + 1):
            found = []
            for _ in range(REQUESTS):
                began = time.perf_counter()
                _check(running[name], asked[name])
                found.append((time.perf_counter() - began) * 1000)
            times[name].append(statistics.median(found))
        best = {name: min(found[1:]) for name, found in times.items()}
    rule = (
        "a warm invocation of `chat` (token, session, limiter, one read, log and metrics) less one of the bare "
        f"function ({best['bare']:.2f} ms), each the median of {REQUESTS}, best of {ROUNDS} rounds in turns"
    )
    return Mark("warm request, added by Kira", best["chat"] - best["bare"], 4, "ms", rule)


def _check(running: Function, asked: object) -> None:
    assert running.invoke(asked)["statusCode"] == 200
