"""What the browser tests run against: a model server that obeys, and Kiras with their printed links."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.local.rig import Running, kira_up, model_server

CALM = {"first": 0.02, "rate": 400.0, "tokens": 30, "slots": 4, "load": 0.0, "models": ["test:latest"]}
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Models:
    """The test model server, steered over HTTP."""

    address: str

    def behave(self, **values: Any) -> None:
        """Change how it answers, such as `rate` (tokens per second), `tokens` or `models` (names)."""
        self._post("/test/behaviour", values)

    def fail(self, kind: str, **values: Any) -> None:
        """Let it fail; see the kinds in the server's Fault."""
        self._post("/test/fault", {"kind": kind, **values})

    def calm(self) -> None:
        """Let it answer quickly and without faults again."""
        self._post("/test/fault", {})
        self.behave(**CALM)

    def _post(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == 200


@dataclass(frozen=True)
class Home:
    """A running Kira: where it listens, and the link it printed for its one user."""

    running: Running
    link: str

    @property
    def address(self) -> str:
        """Its address without the token."""
        return self.running.address

    def at(self, path: str) -> str:
        """Return the address of a page."""
        return self.address + path


@contextmanager
def models_up(slots: int = 4) -> Iterator[Models]:
    """Run a model server until the block ends."""
    with model_server(slots=slots, rate=400, tokens=30) as address:
        yield Models(address)


@contextmanager
def home_up(folder: Path, models: Models, port: int = 0, **settings: str) -> Iterator[Home]:
    """Run a Kira on an empty or earlier folder until the block ends."""
    stated = {"KIRA_OLLAMA": models.address, "OLLAMA_NUM_PARALLEL": "4"} | settings
    folder.mkdir(exist_ok=True)
    with kira_up(folder / "data", port, **stated) as running:
        found = re.search(r"Kira is ready: (\S+)", running.log.read_text())
        assert found is not None
        yield Home(running, found[1])
