"""One backup: a consistent copy of a file in use, checked, and only then put on its shelf."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kira.adapters.database.backup import PAGES_A_STEP, Check, snapshot
from kira.domain.errors import KiraError
from kira.local.backups.checked import checked
from kira.local.settings import LocalSettings
from kira.ports.shelf import Shelf, Told

T = TypeVar("T")
UNCHECKED = ".unchecked"


class Stopped(KiraError):
    """The backup was not finished, because Kira stops."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that is whole: what it holds, where it lies, how large it is."""

    found: Check
    where: str
    size: int


@dataclass(slots=True)
class Pace:
    """How a copy is made: `pages` at once with `pause_s` between, telling `told`, until `stop`."""

    told: Told | None = None
    pages: int = PAGES_A_STEP
    pause_s: float = 0.0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End the copy at its next step."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Say whether the copy is to end."""
        return self._stopped.is_set()

    def step(self, done: int, total: int) -> None:
        """Say how far it is, and rest. Raises Stopped."""
        if self.told is not None:
            self.told(done, total)
        if self._stopped.wait(self.pause_s) if self.pause_s else self.is_stopped:
            raise Stopped


async def make(settings: LocalSettings, shelf: Shelf, name: str, pace: Pace) -> Made:
    """Copy the database, which may be in use, to `shelf` as `name`.

    Raises KiraError; then there is no `name`, and nothing was changed.
    """
    fresh = shelf.room / f".{name}.{os.getpid()}{UNCHECKED}"
    try:
        found, size = await _to_the_end(asyncio.to_thread(_copy, settings, fresh, pace), pace)
        await shelf.put(fresh, name)
    except (OSError, sqlite3.Error) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise KiraError(f"The backup was not made: {why}. Nothing was changed.") from None
    finally:
        fresh.unlink(missing_ok=True)
    return Made(found, shelf.address(name), size)


def sweep(room: Path, name: str) -> None:
    """Remove what a process left that was killed while it made a backup called `name` and something."""
    for pattern in (f".{name}*", f"..{name}*"):
        for left in room.glob(pattern):
            left.unlink(missing_ok=True)


async def _to_the_end(copying: Coroutine[Any, Any, T], pace: Pace) -> T:
    """Wait for a copy in a thread; who is cancelled meanwhile waits for its next step, so that it leaves nothing."""
    task = asyncio.create_task(copying)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        pace.stop()
        await asyncio.wait([task])
        task.exception()
        raise


def _copy(settings: LocalSettings, fresh: Path, pace: Pace) -> tuple[Check, int]:
    fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = settings.database_file
    snapshot(source, fresh, pace.step, pages=pace.pages, folds=settings.folds_journal)
    return checked(fresh, lambda: pace.is_stopped), fresh.stat().st_size
