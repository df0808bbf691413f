"""`kira doctor` on backups: when the last good one was made, where, how large, and what went wrong since."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.writing import Written

from kira.domain.limits import JOURNAL_BYTES_MUCH
from kira.domain.moments import DAY, to_text
from kira.local.backups.record import FILE_NAME, Failed, Good, write_record
from kira.local.commands.copy_checks import copies
from kira.local.commands.findings import Finding, State
from kira.local.settings import read


def _backups(data: Path, **options: object) -> Finding:
    (found,) = [each for each in copies(read(data=data, **options)) if each.name == "backups"]
    return found


def _good(days_ago: float, where: str = "/mnt/other-disk/kira.sqlite") -> Good:
    return Good(at=time.time_ns() // 1000 - round(days_ago * DAY), where=where, size=12_345_678)


@pytest.fixture(autouse=True)
def filled(data: Path, written: Callable[..., Written]) -> None:
    """There is something to lose."""
    written()


def test_who_never_made_one_is_told_so(data: Path, tmp_path: Path) -> None:
    assert _backups(data).state is State.WARNING
    assert "KIRA_BACKUP_EVERY" in _backups(data).advice
    assert _backups(tmp_path / "nothing-yet").state is State.OK
    assert _backups(data, checkpoints="litestream").state is State.OK


def test_one_by_hand_is_told_with_its_time_place_and_size(data: Path) -> None:
    good = _good(3)
    write_record(data, good=good)
    found = _backups(data)
    assert found.state is State.OK
    assert f"the last good one of {to_text(good.at)} is {good.where}, 12.3 MB" in found.found


@pytest.mark.parametrize(
    ("last", "failed", "state"),
    [
        (None, None, State.OK),
        (0.5, None, State.OK),
        (3, None, State.WARNING),
        (0.5, "The disk is full.", State.WARNING),
        (3, "The disk is full.", State.WRONG),
        (None, "The disk is full.", State.WRONG),
    ],
)
def test_a_schedule_is_as_well_as_its_last_good_backup(
    data: Path, last: float | None, failed: str | None, state: State
) -> None:
    good = None if last is None else _good(last)
    write_record(data, good=_good(0), scheduled=good, failed=failed and Failed(at=time.time_ns() // 1000, why=failed))
    found = _backups(data, backup_every="1d", backup="/mnt/other-disk")
    assert found.state is state
    assert found.found.startswith("every 1d to /mnt/other-disk; ")
    assert ("none yet" in found.found) is (good is None)
    assert ("went wrong at" in found.found, found.advice == failed) == (failed is not None,) * 2


def test_an_unreadable_record_is_as_good_as_none(data: Path) -> None:
    (data / FILE_NAME).write_text("{")
    assert _backups(data).found == "none was ever made"


def test_a_large_journal_is_told_of_also_without_litestream(data: Path) -> None:
    assert [each.name for each in copies(read(data=data))] == ["backups"]
    with (data / "kira.sqlite-wal").open("wb") as file:
        file.truncate(JOURNAL_BYTES_MUCH + 1)
    (found,) = [each for each in copies(read(data=data)) if each.name == "journal"]
    assert found.state is State.WARNING
    assert "KIRA_CHECKPOINTS" in found.advice
