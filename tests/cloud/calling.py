"""Somebody who calls a function in a process of its own, as its runtime does: one event at a time."""

from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.aws import MASTER_KEY, Aws

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
EVENTS = Path(__file__).parent / "events"

# One line in, one line out; what the function prints goes where its log goes.
RUNTIME = """
import json, os, sys, time
answers, asks = os.fdopen(os.dup(1), "w"), sys.stdin
os.dup2(2, 1)
class Context:
    function_name, memory_limit_in_mb, aws_request_id = "test", "512", ""
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:test"
    ends = 0.0
    def get_remaining_time_in_millis(self):
        return round((self.ends - time.time()) * 1000)
import handler
for line in asks:
    told = json.loads(line)
    context = Context()
    context.aws_request_id, context.ends = told["id"], time.time() + told["seconds"]
    try:
        answer = {"answer": handler.handler(told["event"], context)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.flush()
    print(json.dumps(answer), file=answers, flush=True)
"""


def event(name: str) -> dict[str, Any]:
    """Return a recorded event."""
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def http_event(method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
    """Return the event of a request; underscores in the names of `headers` stand for dashes."""
    made = copy.deepcopy(event("http_api"))
    plain, _, query = path.partition("?")
    made["rawPath"] = made["requestContext"]["http"]["path"] = plain
    made["rawQueryString"] = query
    made["requestContext"]["http"]["method"] = method
    made["headers"] |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        made["body"], made["isBase64Encoded"] = base64.b64encode(data).decode(), True
        made["headers"]["content-length"] = str(len(data))
    return made


@dataclass(frozen=True)
class Answer:
    """What a function answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Function:
    """A function that runs, with all that it printed."""

    process: subprocess.Popen[str]
    log: Path
    token: str | None = None
    seconds: float = 29
    calls: int = field(default=0)

    def invoke(self, given: object, seconds: float = 29) -> Any:
        """Return what the function answers to an event. Raises AssertionError when it raised."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.calls += 1
        told = {"event": given, "id": f"call-{self.calls}", "seconds": seconds}
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        found = json.loads(line)
        assert "answer" in found, found["error"] + self.log.read_text()
        return found["answer"]

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Return the answer to a request."""
        if self.token:
            headers.setdefault("authorization", f"Bearer {self.token}")
        told = self.invoke(http_event(method, path, body, **headers), self.seconds)
        text = told.get("body", "")
        data = base64.b64decode(text) if told.get("isBase64Encoded") else text.encode()
        return Answer(told["statusCode"], told.get("headers", {}), data, told.get("cookies", []))

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of JSON that it printed."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def settings(aws: Aws, socket_folder: Path | str, port: int, name: str, **more: str) -> dict[str, str]:
    """Return the environment of a function on these services and this database."""
    password = aws.secret(json.dumps({"username": "kira_app", "password": "unused on a socket"}))
    return {
        **aws.settings,
        "KIRA_DATABASE_HOST": str(socket_folder),
        "KIRA_DATABASE_PORT": str(port),
        "KIRA_DATABASE_NAME": name,
        "KIRA_DATABASE_SECRET": password,
        "KIRA_MASTER_KEY_SECRET": aws.secret(MASTER_KEY),
        "KIRA_ACCOUNTS": "open",
        "KIRA_MODEL": "test:latest",
        **more,
    }


@contextmanager
def function(
    name: str, folder: Path, environment: dict[str, str], *, alone: Sequence[str] = (), then: str = ""
) -> Iterator[Function]:
    """Run the function `name` until the block ends; with `alone` it may import from there only.

    When nobody asks any more, `then` is done.
    """
    log = folder / f"{name}.log"
    options = ["-S"] if alone else []  # no packages of this computer's
    paths = alone or [str(FUNCTIONS / name)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("KIRA_", "AWS_", "OLLAMA_"))}
    with (
        log.open("w") as written,
        subprocess.Popen(
            [sys.executable, *options, "-c", RUNTIME + then],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            cwd=paths[0],
            env=clean | environment | {"POWERTOOLS_SERVICE_NAME": name, "PYTHONPATH": ":".join(paths)},
        ) as process,
    ):
        try:
            yield Function(process, log)
        finally:
            process.kill()
