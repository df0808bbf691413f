"""Backups by themselves: made when one is due, by one process of those on the data, and tried again when it failed."""

from __future__ import annotations

import logging
from contextlib import suppress

from kira.domain.errors import KiraError
from kira.domain.limits import BACKUP_LOOK_SECONDS, BACKUP_RETRY_SECONDS
from kira.domain.moments import SECOND
from kira.local import lock
from kira.local.backups.making import Pace, make, sweep
from kira.local.backups.places import dated, place_of
from kira.local.backups.record import Failed, Good, Record, read_record, write_record
from kira.local.settings import LocalSettings
from kira.ports.clock import Clock
from kira.ports.shelf import Shelf

log = logging.getLogger("kira.backup")

NAME = "kira-scheduled"
"""How the names begin that the schedule gives, and that it removes again."""

LOCK = "backups.lock"
PAGES_A_STEP = 256
PAUSE_SECONDS = 0.002


class Schedule:
    """Looks whether a backup is due."""

    def __init__(self, settings: LocalSettings, shelf: Shelf, clock: Clock) -> None:
        """Make backups of the data of `settings` on `shelf`, every `backup_every` seconds."""
        self._settings = settings
        self._shelf = shelf
        self._clock = clock
        self._failed: Failed | None = None
        self._every_s = settings.backup_every or BACKUP_LOOK_SECONDS

    @property
    def look_s(self) -> float:
        """How often to look, in seconds."""
        return min(BACKUP_LOOK_SECONDS, self._every_s)

    async def look(self) -> None:
        """Make a backup if one is due and no other process makes it just now."""
        if not self._is_due():
            return
        with lock.sole(self._settings.data / LOCK) as taken:
            # Asked again behind the lock: another process may have made it a moment ago.
            if taken and self._is_due():
                await self._make()

    def _is_due(self) -> bool:
        record = read_record(self._settings.data)
        failed = self._failed or record.failed
        if failed and self._is_within(failed.at, min(BACKUP_RETRY_SECONDS, self._every_s)):
            return False
        last = record.scheduled
        return last is None or record.shelf != place_of(self._settings) or not self._is_within(last.at, self._every_s)

    def _is_within(self, moment: int, seconds: float) -> bool:
        """Say whether `moment` is less than `seconds` ago; one that lies ahead is of a clock that was wrong."""
        return 0 <= self._clock.now() - moment < seconds * SECOND

    async def _make(self) -> None:
        folder = self._settings.data
        begun = self._clock.now()
        name = dated(NAME, begun)
        try:
            sweep(self._shelf.room, NAME)
            made = await make(self._settings, self._shelf, name, Pace(pages=PAGES_A_STEP, pause_s=PAUSE_SECONDS))
            good = Good(at=begun, where=made.where, size=made.size)
            changes = Record(good=good, scheduled=good, shelf=place_of(self._settings))
            write_record(folder, **dict(changes))
            log.info("Backed up to %s (%.1f MB); the copy was checked.", made.where, made.size / 1e6)
            self._failed = None
            await self._tidy(name)
        except (KiraError, OSError) as error:
            why = error.message if isinstance(error, KiraError) else f"{error.strerror}."
            log.warning("A scheduled backup went wrong: %s It is tried again.", why)
            self._failed = Failed(at=self._clock.now(), why=why)
            with suppress(OSError):  # a full disk takes no record either, and is not to be filled again at every look
                write_record(folder, failed=self._failed)

    async def _tidy(self, newest: str) -> None:
        """Remove the oldest beyond those to keep; never the one that was just made, whatever the clock says."""
        names = [each.name for each in await self._shelf.kept() if each.name.startswith(f"{NAME}-")]
        others = [name for name in names if name != newest]
        for name in others[: max(0, len(names) - self._settings.backup_keep)]:
            await self._shelf.remove(name)
