"""Each function starts from its own folder and the layers alone, loads little, and answers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.aws import MASTER_KEY
from tests.bench.rig import free_port
from tests.cloud.calling import FUNCTIONS, event, function, http_event
from tests.functions.layers import path_of, runtime

from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import vault_of
from kira.domain.accounts import Role, User
from kira.domain.ids import new_id
from kira.services.tokens import Tokens

RECORD = Path(__file__).with_name("modules.json")
"""How many modules beside Python's own each function has loaded when it has answered; the numbers may only fall."""
SLACK = 20
NAMES = sorted(folder.name for folder in FUNCTIONS.iterdir() if (folder / "handler.py").is_file())
HANDLERS = [name for name in NAMES if name != "stream"]
LINES_MAX = 12
LAST = re.compile(r"^modules: (.*)$", re.MULTILINE)

HEAVY = {
    "boto3",
    "botocore.session",
    "cryptography",
    "aws_xray_sdk",
    "redis",
    "uvicorn",
    "jwt",
    "typer",
    "rich",
    "sqlglot",
}
"""What no function loads to answer what it is mostly asked; stream is started by uvicorn, and agent speaks HTTP."""
LATER = {
    "auth": HEAVY | {"aiohttp"},
    "chat": HEAVY | {"aiohttp"},
    "widgets": HEAVY | {"aiohttp"},
    "stream": (HEAVY | {"aiohttp"}) - {"uvicorn"},
    "agent": HEAVY | {"fastapi", "pydantic", "mangum"},
    "clock": HEAVY | {"aiohttp", "fastapi", "pydantic", "mangum"},
    "migrate": HEAVY | {"aiohttp", "fastapi", "pydantic", "mangum"},
}
LOADED = "\nprint('modules:', *sorted(sys.modules), file=sys.stderr, flush=True)\n"


def ended() -> str:
    """Return an access token of a session that is over, which only the database knows."""
    tokens = Tokens(vault_of(MASTER_KEY, "it"), SystemClock())
    return tokens.access(User(new_id(), "nobody@example.org", "Nobody", Role.USER, 0), new_id())


def first_event(name: str) -> Any:
    """Return what `name` is asked in the ordinary course of things."""
    return {
        "auth": http_event("GET", "/api/auth/options"),
        "chat": http_event("GET", "/api/conversations", authorization=f"Bearer {ended()}"),
        "widgets": http_event("GET", "/api/widgets", authorization=f"Bearer {ended()}"),
        "agent": event("sqs"),
        "clock": event("scheduler"),
        "migrate": {"RequestType": "Delete"},
    }[name]


def environment_of(name: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of `name`: what only it is given, added."""
    arn = "arn:aws:iam::123456789012:role/x"
    more = {
        "agent": {"KIRA_HOSTED": "http://127.0.0.1:9/v1", "KIRA_HOSTED_MODELS": "red"},
        "clock": {"KIRA_ALARM_GROUP": "kira", "KIRA_ALARM_TARGET": arn, "KIRA_ALARM_ROLE": arn},
        "migrate": {"KIRA_DATABASE_OWNER_SECRET": arn},
    }
    return environment | more.get(name, {})


def loaded(name: str, environment: dict[str, str], folder: Path) -> set[str]:
    """Let the function answer once and return the modules that it has loaded by then."""
    with function(name, folder, environment_of(name, environment), alone=path_of(name), then=LOADED) as running:
        answer = running.invoke(first_event(name), 120)
        assert answer.get("statusCode") in (None, 200, 401), answer
        assert running.process.stdin is not None
        running.process.stdin.close()
        running.process.wait(30)
        told = LAST.findall(running.log.read_text())
    assert told, running.log.read_text()
    return set(told[-1].split())


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_starts_alone_and_loads_little(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    modules = {
        each for each in loaded(name, environment, tmp_path) if each.partition(".")[0] not in sys.stdlib_module_names
    }
    assert modules & LATER[name] == set()
    most = json.loads(RECORD.read_text())[name]
    assert len(modules) <= most, f"{len(modules)} modules, {most} were enough before"
    assert len(modules) > most - SLACK, f"only {len(modules)} modules are loaded now: write that into {RECORD.name}"


def test_the_stream_starts_alone_as_the_adapter_starts_it(environment: dict[str, str], tmp_path: Path) -> None:
    port, (own, *layers) = free_port(), path_of("stream")
    given = environment | {"PORT": str(port), "LAMBDA_RUNTIME_DIR": str(runtime()), "PYTHONPATH": ":".join(layers)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["/bin/sh", "run.sh"], cwd=own, env={"PATH": path, **given}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until_it_listens(port, process, tmp_path / "log")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health") as answer:
            assert json.load(answer)["status"] == "ok"
            assert "server" not in answer.headers
            assert "content-security-policy" in answer.headers
        with pytest.raises(urllib.request.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/events")
        assert refused.value.code == 401
        refused.value.close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when somebody accepts connections there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_handler_is_a_few_lines(name: str) -> None:
    text = (FUNCTIONS / name / "handler.py").read_text()
    assert len(text.splitlines()) <= LINES_MAX
    assert text.startswith(f'"""{name.capitalize()}: ')
    imported = set(re.findall(r"^ *(?:from|import) (\S+)", text, re.MULTILINE))
    assert all(each.startswith(("kira.cloud", "kira.web", "kira.jobs")) for each in imported)
    files = {path.name for path in (FUNCTIONS / name).iterdir() if path.name != "__pycache__"}
    assert files == {"handler.py"} | ({"run.sh"} if name == "stream" else set())


def test_without_the_libraries_a_function_does_not_start(environment: dict[str, str], tmp_path: Path) -> None:
    own, kira, *_ = path_of("chat")
    with function("chat", tmp_path, environment, alone=[own, kira]) as running:
        running.process.wait(30)
        assert "ModuleNotFoundError" in running.log.read_text()


def test_events_are_of_the_shapes_that_are_sent() -> None:
    assert event("http_api")["version"] == "2.0"
    assert event("sqs")["Records"][0]["eventSource"] == "aws:sqs"
    assert event("scheduler")["source"] == "aws.scheduler"
