"""Data folders for the tests of the command."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import homes
from tests.local.rig import model_server
from tests.local.writing import Written, write

from kira.local.settings import read
from kira.local.world import Local


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests do not count."""
    for name in [name for name in os.environ if name.startswith(("KIRA_", "OLLAMA_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def models() -> Iterator[str]:
    """The address of a model server whose model `test:latest` answers quickly, four at a time."""
    with model_server() as address:
        yield address


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that is not there yet."""
    return tmp_path / "data"


@pytest.fixture
def written(data: Path) -> Callable[..., Written]:
    """Fill the data folder as users would; see tests/local/writing.py."""

    def fill(**what: int) -> Written:
        database = homes.settings(data).get("KIRA_DATABASE")
        return asyncio.run(write(Local(read(data=data, database=database)), **what))

    return fill
