"""Data folders for the tests of the command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.writing import Written, write

from kira.local.settings import LocalSettings
from kira.local.world import Local


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that is not there yet."""
    return tmp_path / "data"


@pytest.fixture
def written(data: Path) -> Callable[..., Written]:
    """Fill the data folder as users would; see tests/local/writing.py."""

    def fill(**what: int) -> Written:
        return asyncio.run(write(Local(LocalSettings(data=data)), **what))

    return fill
