"""TEMPORARY until tests/conftest.py has `world`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from kira.adapters.clock.fixed import FixedClock
from kira.testing.vault import MemoryVault

sys.path.insert(0, "/tmp/kira-accounts")
from quickdb import QuickDb


@dataclass
class W:
    clock: FixedClock = field(default_factory=FixedClock)
    vault: MemoryVault = field(default_factory=MemoryVault)
    database: Any = field(default_factory=QuickDb)


@pytest.fixture
def world():
    w = W()
    yield w
    w.database.db.close()
