"""The lock of a data folder: many processes of Kira's may use the data, and only a restore or a move has it alone."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kira.domain.errors import Conflict, WrongSetting

FILE_NAME = "kira.lock"
PATIENCE_SECONDS = 2.0
PAUSE_SECONDS = 0.02

BEING_RESTORED = "The data in {folder} is just being restored or moved. Wait for that to end and start again."
IN_USE = "Kira runs on {folder}. Stop it first (Ctrl+C where it runs), and start it again afterwards."


@dataclass(frozen=True, slots=True)
class Share:
    """A place among those who use the data; the operating system takes it back however the process ends."""

    _file: IO[str]

    def tell(self, address: str) -> None:
        """Let other commands on the same data know at which `address` Kira answers; an empty one takes it back."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(address)
        self._file.flush()


@contextmanager
def share(folder: Path) -> Iterator[Share]:
    """Use the data in `folder` beside others.

    Raises Conflict while it is being restored or moved, WrongSetting when the folder cannot be used.
    """
    with _opened(folder) as file:
        if not _taken(file, fcntl.LOCK_SH, PATIENCE_SECONDS):
            raise Conflict(BEING_RESTORED.format(folder=folder))
        yield Share(file)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Use the data in `folder` with nobody beside; raises Conflict while Kira runs on it."""
    with _opened(folder) as file:
        if not _taken(file, fcntl.LOCK_EX, PATIENCE_SECONDS):
            raise Conflict(IN_USE.format(folder=folder))
        Share(file).tell("")
        yield


@contextmanager
def sole(path: Path) -> Iterator[bool]:
    """Be the only one behind the lock file `path`; yields False, at once, when somebody else is."""
    with path.open("a+", encoding="utf-8") as file:
        yield _taken(file, fcntl.LOCK_EX, 0)


def address_of(folder: Path) -> str | None:
    """Return the address of the Kira that runs on the data in `folder`; None when none does or it told none."""
    try:
        with (folder / FILE_NAME).open("r+", encoding="utf-8") as file:
            # What a process wrote that is gone is old: only with a holder is it true.
            if _taken(file, fcntl.LOCK_EX, 0):
                return None
            return file.read().strip() or None
    except OSError:
        return None


@contextmanager
def _opened(folder: Path) -> Iterator[IO[str]]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / FILE_NAME).open("a+", encoding="utf-8")
    except OSError as found:
        told = f"KIRA_DATA {folder} cannot be used: {found.strerror}. Give Kira the right to write, or name another."
        raise WrongSetting(told) from None
    with file:
        yield file


def _taken(file: IO[str], kind: int, seconds: float) -> bool:
    """Take a lock of `kind`, trying for `seconds`; others hold it for an instant when they only look."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as found:
            if found.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            if time.monotonic() >= end:
                return False
            time.sleep(PAUSE_SECONDS)
        else:
            return True
