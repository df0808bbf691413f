"""Which home a test run is on, and which tests are part of it."""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from tests import homes

TESTS = Path(__file__).parent
LONG = ("hosts", "fleet", "faults", "simulation", "browser", "local")
"""Folders of few and long tests. They begin first, so that no process is left alone with one of them at the end."""

TEARDOWN_SECONDS = 180
"""After a failure the limit of a test no longer counts (the debugger may be open), and what is left may hang."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the home."""
    told = (
        f"where homes of tests keep their data ({homes.HOMES[0]} if not said, and then also what is about others alone)"
    )
    parser.addoption("--home", choices=homes.HOMES, help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Tell the rigs; every process of a run that is shared out comes through here."""
    homes.choose(config.getoption("--home"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not about the chosen home, and begin with what takes long."""
    here = [item for item in items if homes.belongs(_node(item))]
    chosen = set(here)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = sorted(here, key=_rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Give back a test's databases once everything that used them is closed; after a failure there they stay lent."""
    given: dict[str, object] = getattr(item, "funcargs", {})
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"Cleaning up took longer than {TEARDOWN_SECONDS} s."))
    signal.setitimer(signal.ITIMER_REAL, TEARDOWN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if isinstance(folder := given.get("tmp_path"), Path):
        homes.give_back(folder)


def pytest_report_header(config: pytest.Config) -> str:
    """Say it at the top."""
    return f"home: {config.getoption('--home') or homes.HOMES[0]}"


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0]
    return LONG.index(folder) if folder in LONG else len(LONG)


def _node(item: pytest.Item) -> str:
    return f"{item.path.relative_to(TESTS).as_posix()}::{item.name}"
