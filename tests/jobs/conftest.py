"""A home, and a model server with two slots that answers thirty tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.jobs.rig import Home, open_home

from kira.testing.model_server import ModelServer


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path / "kira.sqlite") as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(slots=2, rate=500, first=0.005, tokens=30) as opened:
        yield opened
