"""Backups by themselves: one when it is due, never half of one, never fewer good ones than there were."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.aws import CREDENTIALS
from tests.buckets import S3, s3_server
from tests.local.writing import Written

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.database.backup import check
from kira.domain.limits import BACKUP_RETRY_SECONDS
from kira.local.backups.record import read_record
from kira.local.backups.schedule import Schedule
from kira.local.settings import LocalSettings, read
from kira.local.world import Local, open_shelf

DAY_SECONDS = 86_400
WRITES_MEANWHILE = 5


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A server for this file."""
    with s3_server() as server:
        yield server


@pytest.fixture
def clock() -> FixedClock:
    """A clock that the test moves."""
    return FixedClock()


@pytest.fixture
def settings(data: Path, written: Callable[..., Written]) -> LocalSettings:
    """A backup a day of 2 conversations, of which three are kept."""
    written(conversations=2, questions=2)
    return read(data=data, backup_every="1d", backup_keep=3)


def _schedule(settings: LocalSettings, clock: FixedClock, place: Path | str | None = None) -> Schedule:
    place = str(place or settings.data / "backups")
    return Schedule(settings.model_copy(update={"backup": place}), open_shelf(place, settings), clock)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_backup_is_made_when_it_is_due_and_not_before(settings: LocalSettings, clock: FixedClock) -> None:
    folder = settings.data / "backups"
    schedule = _schedule(settings, clock)
    await schedule.look()
    (first,) = _names(folder)
    assert check(folder / first).counts["messages"] == 8
    assert stat.S_IMODE((folder / first).stat().st_mode) == 0o600
    clock.advance(DAY_SECONDS - 1)
    await schedule.look()
    assert _names(folder) == [first]
    clock.advance(1)
    await schedule.look()
    assert len(_names(folder)) == 2
    record = read_record(settings.data)
    assert record.good == record.scheduled
    assert record.good is not None
    newest = folder / _names(folder)[1]
    assert (record.good.where, record.good.size, record.good.at) == (
        str(newest),
        newest.stat().st_size,
        clock.now(),
    )


async def test_only_the_last_ones_are_kept_and_nothing_of_others_is_touched(
    settings: LocalSettings, clock: FixedClock
) -> None:
    folder = settings.data / "backups"
    folder.mkdir()
    others = ["kira-2020-01-01T000000Z.sqlite", "kira-scheduled.txt", "notes"]
    for name in others:
        (folder / name).write_text("somebody's")
    schedule = _schedule(settings, clock)
    for _ in range(5):
        await schedule.look()
        clock.advance(DAY_SECONDS)
    made = [name for name in _names(folder) if name not in others]
    assert len(made) == 3
    assert set(others) < set(_names(folder))
    # The clock was wrong, and later is right again: what was just made is not the one that goes.
    clock.moment -= 365 * DAY_SECONDS * 1_000_000
    await schedule.look()
    record = read_record(settings.data)
    assert record.good is not None
    assert Path(record.good.where).exists()
    assert record.good.at == clock.now()


async def test_a_failure_is_told_and_tried_again(settings: LocalSettings, clock: FixedClock, tmp_path: Path) -> None:
    place = tmp_path / "other-disk"
    schedule = _schedule(settings, clock, place)
    await schedule.look()
    (good,) = _names(place)
    (place / good).rename(tmp_path / "kept")
    place.rmdir()
    place.write_text("the disk is not mounted")
    clock.advance(DAY_SECONDS)
    await schedule.look()
    record = read_record(settings.data)
    assert record.failed is not None
    assert record.failed.why.endswith(".")
    assert record.scheduled is not None
    assert record.scheduled.where == str(place / good)
    place.unlink()
    clock.advance(BACKUP_RETRY_SECONDS - 1)
    await schedule.look()
    assert not place.exists()
    clock.advance(1)
    await schedule.look()
    assert len(_names(place)) == 1
    assert read_record(settings.data).failed is None


async def test_a_damaged_database_replaces_no_good_backup(settings: LocalSettings, clock: FixedClock) -> None:
    folder = settings.data / "backups"
    schedule = _schedule(settings, clock)
    await schedule.look()
    before = _names(folder)
    whole = settings.database_file.read_bytes()
    settings.database_file.write_bytes(whole[:40_000] + b"\xff" * 60_000 + whole[100_000:])
    for _ in range(5):
        clock.advance(DAY_SECONDS)
        await schedule.look()
    assert _names(folder) == before
    record = read_record(settings.data)
    assert record.failed is not None
    assert "\n" not in record.failed.why


async def test_without_a_way_to_note_a_failure_it_still_rests(settings: LocalSettings, clock: FixedClock) -> None:
    place = settings.data / "file"
    place.write_text("no folder")
    (settings.data / "backups.json").mkdir()
    schedule = _schedule(settings, clock, place)
    await schedule.look()
    place.unlink()
    await schedule.look()
    assert not place.exists()
    clock.advance(BACKUP_RETRY_SECONDS)
    await schedule.look()
    assert len(_names(place)) == 1


async def test_of_several_processes_one_makes_it(settings: LocalSettings, clock: FixedClock) -> None:
    schedules = [_schedule(settings, clock) for _ in range(4)]
    await asyncio.gather(*(schedule.look() for schedule in schedules))
    await asyncio.gather(*(schedule.look() for schedule in schedules))
    assert len(_names(settings.data / "backups")) == 1


async def test_another_place_gets_its_first_backup_at_once(
    settings: LocalSettings, clock: FixedClock, tmp_path: Path
) -> None:
    await _schedule(settings, clock).look()
    await _schedule(settings, clock, tmp_path / "moved").look()
    assert len(_names(tmp_path / "moved")) == 1


async def test_what_a_killed_process_left_is_swept(settings: LocalSettings, clock: FixedClock) -> None:
    folder = settings.data / "backups"
    folder.mkdir()
    for name in (".kira-scheduled-x.sqlite.7.unchecked", "..kira-scheduled-x.sqlite.7.unchecked.7.part"):
        (folder / name).write_text("half")
    await _schedule(settings, clock).look()
    (made,) = _names(folder)
    assert not made.startswith(".")


async def test_stopping_leaves_nothing_half(settings: LocalSettings, clock: FixedClock) -> None:
    _enlarge(settings.database_file)
    schedule = _schedule(settings, clock)
    looking = asyncio.create_task(schedule.look())
    folder = settings.data / "backups"
    while not (folder.exists() and _names(folder)):
        await asyncio.sleep(0)
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    assert not [name for name in _names(folder) if not name.startswith(".")]
    assert read_record(settings.data).failed is None
    await schedule.look()
    assert len([name for name in _names(folder) if not name.startswith(".")]) == 1


async def test_users_are_served_meanwhile(settings: LocalSettings, clock: FixedClock) -> None:
    _enlarge(settings.database_file)
    world = Local(settings)
    with closing(sqlite3.connect(settings.database_file)) as connection:
        before = connection.execute("SELECT COUNT(*) FROM users").fetchone()[0]
    looking = asyncio.create_task(_schedule(settings, clock).look())
    served = 0
    while not looking.done():
        await world.database.system.query("accounts.local")
        served += 1
    await looking
    await world.close()
    assert served >= WRITES_MEANWHILE
    (made,) = _names(settings.data / "backups")
    assert check(settings.data / "backups" / made).counts["users"] == before


async def test_a_bucket_keeps_the_last_ones_too(
    settings: LocalSettings, clock: FixedClock, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    bucket = s3.bucket()
    s3.client.put_object(Bucket=bucket, Key="of/kira/somebody's", Body=b"-")
    there = settings.model_copy(update={"s3_endpoint": s3.endpoint})
    schedule = _schedule(there, clock, f"s3://{bucket}/of/kira")
    for _ in range(5):
        await schedule.look()
        clock.advance(DAY_SECONDS)
    keys = s3.keys(bucket)
    assert len(keys) == 4
    assert keys[-1] == "of/kira/somebody's"
    assert not list((settings.data / "backups").iterdir())
    record = read_record(settings.data)
    assert record.good is not None
    assert record.good.where == f"s3://{bucket}/{keys[-2]}"
    down = _schedule(there.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"}), clock, f"s3://{bucket}/of/kira")
    await down.look()
    failed = read_record(settings.data).failed
    assert failed is not None
    assert failed.why.startswith("http://127.0.0.1:9 could not do it")
    assert s3.keys(bucket) == keys


def _enlarge(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ballast (content BLOB)")
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) "
            "INSERT INTO ballast SELECT randomblob(8000) FROM n"
        )
        connection.commit()
