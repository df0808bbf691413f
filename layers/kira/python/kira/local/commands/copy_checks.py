"""What the doctor looks at for the day when the database is lost: backups, and the journal that others copy."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kira.domain.errors import KiraError
from kira.domain.limits import JOURNAL_BYTES_MUCH
from kira.domain.moments import SECOND, to_text
from kira.local.backups.places import place_of
from kira.local.backups.record import Good, Record, read_record
from kira.local.commands.findings import Finding, State
from kira.local.settings import LocalSettings
from kira.local.world import open_shelf

OVERDUE = 2
"""After how many periods without a good backup something is wrong, and not only late."""

BY_HAND = "Set KIRA_BACKUP_EVERY=1d, or run `kira backup` now and then."


def copies(settings: LocalSettings) -> Iterator[Finding]:
    """Look at what is known of backups, and at the journal."""
    record = read_record(settings.data)
    try:
        open_shelf(place_of(settings), settings)
    except KiraError as error:
        yield Finding(State.WRONG, "backups", error.message)
        return
    yield _scheduled(settings, record) if settings.backup_every else _by_hand(settings, record)
    if not settings.folds_journal or _journal_bytes(settings) > JOURNAL_BYTES_MUCH:
        yield _journal(settings)


def _by_hand(settings: LocalSettings, record: Record) -> Finding:
    if record.good is not None:
        return Finding(State.OK, "backups", f"{_told(record.good)}; none by themselves (KIRA_BACKUP_EVERY)")
    if not settings.database_file.is_file():
        return Finding(State.OK, "backups", "none yet, and none by themselves (KIRA_BACKUP_EVERY)")
    if not settings.folds_journal:
        return Finding(State.OK, "backups", "Litestream's (KIRA_CHECKPOINTS); none of Kira's")
    return Finding(State.WARNING, "backups", "none was ever made", BY_HAND)


def _scheduled(settings: LocalSettings, record: Record) -> Finding:
    every_s = settings.backup_every or 0
    found = f"every {_period(every_s)} to {place_of(settings)}; "
    good = record.scheduled
    found += _told(good) if good is not None else "none yet"
    is_late = good is None or time.time() - good.at / SECOND > OVERDUE * every_s
    if record.failed is not None:
        state = State.WRONG if is_late else State.WARNING
        return Finding(state, "backups", f"{found}; went wrong at {to_text(record.failed.at)}", record.failed.why)
    if good is not None and is_late:
        return Finding(State.WARNING, "backups", f"{found}, which is long ago", "They are made while `kira up` runs.")
    return Finding(State.OK, "backups", found)


def _journal(settings: LocalSettings) -> Finding:
    size = _journal_bytes(settings)
    found = f"{size / 1e6:.1f} MB" + ("" if settings.folds_journal else "; Litestream writes it into the file")
    if size <= JOURNAL_BYTES_MUCH:
        return Finding(State.OK, "journal", found)
    if settings.folds_journal:
        advice = (
            "A program reads the database and does not end: close it (sqlite3, Litestream), or see KIRA_CHECKPOINTS."
        )
    else:
        advice = "See whether Litestream runs and reaches its replica, or take KIRA_CHECKPOINTS away."
    return Finding(State.WARNING, "journal", found, advice)


def _journal_bytes(settings: LocalSettings) -> int:
    path = settings.database_file.with_name(f"{settings.database_file.name}-wal")
    return path.stat().st_size if path.exists() else 0


def _told(good: Good) -> str:
    return f"the last good one of {to_text(good.at)} is {good.where}, {good.size / 1e6:.1f} MB"


def _period(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
