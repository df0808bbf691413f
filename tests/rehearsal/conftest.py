"""One rehearsal for all tests of a process, and what its functions said when a test fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from tests.browser.rig import Models, models_up
from tests.rehearsal.rig import Rehearsal, rehearsal


@pytest.fixture(scope="session")
def models() -> Iterator[Models]:
    """A model server that answers in a moment, word by word."""
    with models_up() as made:
        made.calm()
        yield made


@pytest.fixture(scope="session")
def healthy(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The stacks of this checkout, deployed, with a worker of the fleet."""
    with rehearsal(tmp_path_factory.mktemp("rehearsal")) as made:
        made.start_worker(models.address)
        yield made


@pytest.fixture
def rehearsed(healthy: Rehearsal) -> Iterator[Rehearsal]:
    """The same; a call that a role does not allow fails the test."""
    before = len(healthy.gate.refused)
    yield healthy
    assert healthy.gate.refused[before:] == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the functions beside a failure."""
    report = yield
    funcargs: dict[str, object] = getattr(item, "funcargs", {})
    found = funcargs.get("healthy") or funcargs.get("rehearsed")
    if report.failed and isinstance(found, Rehearsal):
        report.sections.append(("what functions and workers said", found.told()))
    return report
