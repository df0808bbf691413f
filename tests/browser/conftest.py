"""One browser, one model server and, for every file of tests, a Kira of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.browser.chat import Chat
from tests.browser.rig import Home, Models, home_up, models_up
from tests.browser.watch import Watch

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]
PATIENCE_MS = 15_000
DESK = {"width": 1280, "height": 800}

Device = Callable[..., Page]
Up = Callable[..., Home]


# The browser's own loop must not run on while other folders run their asynchronous tests: hence not per session.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "Chromium is missing; `make programs` installs it"
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server() -> Iterator[Models]:
    """The model server all Kiras use unless a test has its own."""
    with models_up() as models:
        yield models


@pytest.fixture
def models(server: Models) -> Iterator[Models]:
    """The model server, to be changed by a test and put back after it."""
    yield server
    server.calm()


@pytest.fixture(scope="module")
def for_one(server: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A Kira with one user, for a file of tests."""
    with home_up(tmp_path_factory.mktemp("alone"), server) as home:
        yield home


@pytest.fixture
def kira(for_one: Home) -> Home:
    """A Kira with one user."""
    for_one.begin()
    return for_one


@pytest.fixture(scope="module")
def for_all(server: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A Kira on which anybody may make an account, for a file of tests."""
    with home_up(tmp_path_factory.mktemp("open"), server, KIRA_ACCOUNTS="open") as home:
        yield home


@pytest.fixture
def accounts(for_all: Home) -> Home:
    """A Kira on which anybody may make an account."""
    for_all.begin()
    return for_all


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What goes wrong on any page fails the test."""
    watch = Watch()
    yield watch
    assert watch.problems == []


@pytest.fixture
def own_home(models: Models, tmp_path: Path) -> Iterator[Up]:
    """Run a Kira of the test's own, with the settings given; it stops after the pages that look at it are closed."""
    with ExitStack() as homes:
        yield lambda **settings: homes.enter_context(home_up(tmp_path, models, **settings))


@pytest.fixture
def device(browser: Browser, watch: Watch, own_home: Up) -> Iterator[Device]:
    """Open a fresh browser profile as often as called, each with one empty page; options are the context's."""
    contexts = []

    def fresh(**options: Any) -> Page:
        standard = {"viewport": DESK, "service_workers": "block", "locale": "en-GB"}
        context = browser.new_context(**(standard | options))
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        watch.over(context)
        return context.new_page()

    yield fresh
    for context in contexts:
        context.close()


@pytest.fixture
def page(device: Device, kira: Home) -> Page:
    """A page signed in at the Kira with one user."""
    return signed_in(device(), kira)


@pytest.fixture
def chat(page: Page) -> Chat:
    """A new conversation."""
    return Chat(page)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a Kira of the test's own."""
    return tmp_path


def signed_in(page: Page, home: Home, path: str = "/") -> Page:
    """Open the first page as the home's user, then `path`."""
    home.open(page)
    page.get_by_role("textbox", name="Message", exact=True).wait_for()
    if path != "/":
        page.goto(home.at(path))
    return page
