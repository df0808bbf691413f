"""What the browser tests run against: a model server that obeys, and Kiras with their printed links."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page
from tests import homes
from tests.browser.aws import account_up
from tests.local.rig import PASSWORD, Running, kira_up, model_server

__all__ = ("PASSWORD", "Home", "Models", "home_up", "models_up")

CALM = {"first": 0.02, "rate": 400.0, "tokens": 30, "slots": 4, "load": 0.0, "models": ["test:latest"]}


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
    """A running Kira with one user: where it is, how the user comes in, and the process if there is one of its own."""

    address: str
    way_in: tuple[str, dict[str, str]]
    """What is posted where to sign in."""
    link: str = ""
    """What it printed for its one user; on AWS nothing is printed."""
    running: Running | None = None
    begin: Callable[[], None] = lambda: None
    """Where homes share what works, let it be this home's."""

    def at(self, path: str) -> str:
        """Return the address of a page."""
        return self.address + path

    def open(self, page: Page) -> None:
        """Open the first page as the one user."""
        self.begin()
        if self.link:
            page.goto(self.link)
            return
        path, body = self.way_in
        assert page.context.request.post(self.at(path), data=body).ok
        page.goto(self.at("/"))

    def open_again(self, dialog: Locator) -> None:
        """Sign in again in the dialog that asks for it."""
        field = dialog.get_by_role("textbox") if self.link else dialog.get_by_label("Password")
        field.fill(self.link or PASSWORD)
        field.press("Enter")

    def kill(self) -> None:
        """End its process at once."""
        assert self.running is not None
        self.running.process.kill()
        self.running.process.wait()


@contextmanager
def models_up(slots: int = 4) -> Iterator[Models]:
    """Run a model server until the block ends."""
    with model_server(slots=slots, rate=400, tokens=30) as address:
        yield Models(address)


@contextmanager
def home_up(folder: Path, models: Models, port: int = 0, **settings: str) -> Iterator[Home]:
    """Run a Kira on an empty or earlier folder until the block ends; on AWS, keep an account that has not been there.

    There anybody may make an account, and neither folder nor port have a meaning.
    """
    stated = {"OLLAMA_NUM_PARALLEL": "4"} | settings
    if homes.is_aws():
        stated.pop("KIRA_ACCOUNTS", None)
        with account_up(models.address, stated) as account:
            yield Home(account.address, account.way_in, begin=account.begin)
        return
    folder.mkdir(exist_ok=True)
    with kira_up(folder / "data", port, KIRA_OLLAMA=models.address, **stated) as running:
        found = re.search(r"Kira is ready: (\S+)", running.log.read_text())
        assert found is not None
        way_in = ("/api/auth/local", {"token": found[1].partition("?token=")[2]})
        yield Home(running.address, way_in, found[1], running)
