"""Every seeded fault is seen: in the step where a user would have met it, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.rig import Models
from tests.rehearsal.faults import FAULTS
from tests.rehearsal.rig import Fault, Rehearsal, with_fault
from tests.rehearsal.scenario import Broken, ask_first, visiting

PATIENCE_S = 6


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_seen(name: str, healthy: Rehearsal, slowly: None, tmp_path: Path) -> None:
    fault, where = FAULTS[name]
    with with_fault(healthy, fault, tmp_path) as broken, pytest.raises(Broken, match=f"(?s){where}"):
        async with visiting(broken.address) as nobody:
            await ask_first(nobody, name.replace(" ", "-"), patience_s=PATIENCE_S)


async def test_without_a_fault_all_goes_well(healthy: Rehearsal, slowly: None, tmp_path: Path) -> None:
    with with_fault(healthy, Fault(), tmp_path) as sound:
        async with visiting(sound.address) as nobody:
            await ask_first(nobody, "faultless")
        assert sound.gate.refused == []


async def test_a_missing_permission_is_named(healthy: Rehearsal, slowly: None, tmp_path: Path) -> None:
    fault, _ = FAULTS["a missing permission"]
    with with_fault(healthy, fault, tmp_path) as broken:
        async with visiting(broken.address) as nobody:
            with pytest.raises(Broken):
                await ask_first(nobody, "refused")
        assert {each.call.action for each in broken.gate.refused} == {"secretsmanager:GetSecretValue"}


@pytest.fixture
def slowly(models: Models) -> Iterator[None]:
    """Answers take three seconds."""
    models.behave(rate=7)
    yield
    models.calm()
