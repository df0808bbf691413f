"""A small world on a real database, for the routes of accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests import homes

from kira.testing.visiting import SmallWorld


@pytest.fixture
async def small_world(tmp_path: Path) -> AsyncIterator[SmallWorld]:
    database = homes.open_database(tmp_path / "kira.sqlite")
    yield SmallWorld(database)
    await database.close()
