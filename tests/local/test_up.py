"""`kira up` in a terminal: what it says of models, and how it ends while answers go."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.bench import rig
from tests.local.rig import MODEL, PATIENCE_SECONDS, Running, kira_up, rows

from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import open_vault
from kira.local.client import Client
from kira.services.tokens import Tokens

FIRST = " ".join(f"first{place}" for place in range(40))
SECOND = "the second"


@pytest.fixture
def ollama() -> Iterator[rig.Process]:
    """A model server of the test's own, with one slot."""
    with rig.model_server(slots=1, rate=4, first=0.01) as process:
        yield process


def test_without_a_model_the_terminal_says_what_to_do(data: Path, ollama: rig.Process) -> None:
    _behave(ollama, models=[])
    with kira_up(data, KIRA_OLLAMA=ollama.address) as running:
        _until(lambda: "ollama pull" in running.log.read_text())
        (told,) = [line for line in running.log.read_text().splitlines() if "ollama pull" in line]
    assert told.startswith("Ollama has no model yet. Pull one with `ollama pull ")
    assert told.endswith("Until then the demo model answers.")


def test_an_ollama_that_takes_its_time_is_not_said_to_be_away(data: Path, ollama: rig.Process) -> None:
    ollama.process.send_signal(signal.SIGSTOP)
    with kira_up(data, KIRA_OLLAMA=ollama.address) as running:
        time.sleep(0.8)
        ollama.process.send_signal(signal.SIGCONT)
        _until(lambda: MODEL in _models(data, running))
        assert "No Ollama" not in running.log.read_text()


def test_a_stop_finishes_what_goes_and_leaves_what_waits_to_the_next_start(data: Path, ollama: rig.Process) -> None:
    settings = {"KIRA_OLLAMA": ollama.address, "OLLAMA_NUM_PARALLEL": "1"}
    with kira_up(data, 0, **settings) as running:
        runs = [_ask(data, running, text) for text in (FIRST, SECOND)]
        _until(lambda: _states(data, runs) == ["running", "queued"])
        running.process.send_signal(signal.SIGTERM)
        _until(lambda: _health(running) == (503, "UNAVAILABLE"))
        _behave(ollama, rate=400)
        assert running.process.wait(PATIENCE_SECONDS) == 0
    assert _states(data, runs) == ["done", "queued"]
    with kira_up(data, 0, **settings):
        _until(lambda: _states(data, runs) == ["done", "done"])
    answers = rows(data, "SELECT content FROM messages WHERE role = 'assistant' ORDER BY id")
    assert answers == [(FIRST,), (SECOND,)]


def _behave(ollama: rig.Process, **values: object) -> None:
    request = urllib.request.Request(f"{ollama.address}/test/behaviour", json.dumps(values).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
        assert response.status == 200


def _health(running: Running) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{running.address}/api/health", timeout=PATIENCE_SECONDS) as response:
            return response.status, json.loads(response.read())["status"]
    except urllib.error.HTTPError as error:
        told = json.loads(error.read())["error"]
        assert "stopping" in told["message"]
        return error.code, told["code"]


def _call(
    data: Path, running: Running, method: str, path: str, body: dict[str, object] | None = None
) -> dict[str, object]:
    async def do() -> dict[str, object]:
        client = Client(running.address)
        try:
            await client.sign_in_locally(Tokens(open_vault(data), SystemClock()).local())
            return dict(await client.call(method, path, body))
        finally:
            await client.close()

    return asyncio.run(do())


def _models(data: Path, running: Running) -> str:
    return json.dumps(_call(data, running, "GET", "/api/models"))


def _ask(data: Path, running: Running, text: str) -> str:
    conversation = _call(data, running, "POST", "/api/conversations", {"title": "A title"})["id"]
    path = f"/api/conversations/{conversation}/messages"
    asked = _call(data, running, "POST", path, {"content": f"say:{text}", "model": MODEL})
    return str(asked["run"]["id"])  # type: ignore[index]  # of the API's answer


def _states(data: Path, runs: list[str]) -> list[object]:
    return [rows(data, "SELECT state FROM runs WHERE id = ?", run)[0][0] for run in runs]


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
