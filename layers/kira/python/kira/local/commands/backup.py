"""`kira backup` and `kira restore`: everything in one checked file, and the way back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from kira.adapters.database.backup import Check, check, snapshot
from kira.adapters.database.schema import steps
from kira.adapters.vault.keyfile import FILE_NAME as KEY_FILE
from kira.domain.errors import Conflict, Invalid, KiraError, NotFound
from kira.local import terminal
from kira.local.lock import alone
from kira.local.settings import LocalSettings, read

CHUNK_BYTES = 4 * 1024 * 1024
TOLD = ("user", "conversation", "message")


def back_up(target: Path | None, *, data: Path | None) -> None:
    """Copy the database, which may be in use, to `target` and check the copy."""
    settings = read(data=data)
    source = settings.database_file
    if not source.is_file():
        raise NotFound(f"There is no data in {settings.data} yet, so there is nothing to back up.")
    target = target or _dated(settings.data / "backups", "kira")
    if target.exists():
        raise Conflict(f"{target} is there already. Choose another name, or remove it first.")
    fresh = target.with_name(f".{target.name}.{os.getpid()}.unchecked")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with terminal.progress("Copying") as tell:
            snapshot(source, fresh, tell)
        found = _checked(fresh)
        fresh.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise KiraError(f"The backup was not made: {_why(error)}. Nothing was changed.") from None
    finally:
        fresh.unlink(missing_ok=True)
    print(f"Backed up {_counted(found)} to {target} ({_size(target)}, schema step {found.step}); the copy was checked.")
    print(_about_the_key(settings))


def restore(source: Path, *, sure: bool, data: Path | None) -> None:
    """Put the backup `source` in the place of the database, once it is checked; keep what was there.

    Raises Conflict while Kira runs on the data, Invalid for a file that is no whole backup of this Kira.
    """
    settings = read(data=data)
    if not source.is_file():
        raise NotFound(f"There is no file {source}.")
    with alone(settings.data):
        present = Present(settings.database_file)
        fresh = present.path.with_name(f"{present.path.name}.restoring")
        try:
            found = _copy(source, fresh)
            print(f"The backup {source} is whole: {_counted(found)}, schema step {found.step}.")
            print(present.described())
            if not sure and not terminal.confirm("Put the backup in its place?"):
                print("Nothing was changed.")
                return
            kept = present.replace_with(fresh)
        except OSError as error:
            raise KiraError(f"The backup was not restored: {_why(error)}.") from None
        finally:
            fresh.unlink(missing_ok=True)
    print(f"Restored {_counted(found)}." + (f" What was there is kept as {kept}." if kept else ""))
    if not settings.master_key and not (settings.data / KEY_FILE).exists():
        print(f"There is no {KEY_FILE} in {settings.data}: put yours there, or everybody has to sign in again.")


@dataclass(frozen=True, slots=True)
class Present:
    """The database that a restore replaces, if there is one."""

    path: Path

    def described(self) -> str:
        """Say what will be replaced."""
        if not self.path.exists():
            return f"There is no data in {self.path.parent} yet."
        try:
            return f"It will replace {self.path}: {_counted(check(self.path))}."
        except sqlite3.Error as error:
            return f"It will replace {self.path}, which cannot be read ({error})."

    def replace_with(self, fresh: Path) -> Path | None:
        """Put `fresh` in its place in one step and return where the old file is kept."""
        kept = self._keep() if self.path.exists() else None
        fresh.replace(self.path)
        _keep_names(self.path.parent)
        return kept

    def _keep(self) -> Path:
        self._fold_journal()
        kept = _dated(self.path.parent, "kira-replaced")
        try:
            os.link(self.path, kept)
        except OSError:  # not every file system has hard links
            shutil.copy2(self.path, kept)
        for suffix in ("-wal", "-shm"):
            # Only a damaged file still has a journal now. It belongs to the old file and would damage the new one.
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).replace(kept.with_name(kept.name + suffix))
        return kept

    def _fold_journal(self) -> None:
        """Write the journal into the file; this also shows that no other program has it open."""
        try:
            with closing(sqlite3.connect(self.path, timeout=1)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                told = f"Another program has {self.path} open. Close it (Kira, a worker, sqlite3) and try again."
                raise Conflict(told) from None
        except sqlite3.DatabaseError:
            pass  # It is damaged, which may be why it is replaced; it is kept as it is.


def _copy(source: Path, fresh: Path) -> Check:
    """Copy `source` beside the database and check the copy, so that what was checked is what is used."""
    journal = source.with_name(source.name + "-wal")
    if journal.exists() and journal.stat().st_size:
        raise Invalid(f"{source} is in use or was copied while in use. Give a file that `kira backup` wrote.")
    size = source.stat().st_size
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with terminal.progress("Copying") as tell, source.open("rb") as old, os.fdopen(descriptor, "wb") as new:
        while chunk := old.read(CHUNK_BYTES):
            new.write(chunk)
            tell(new.tell(), size)
        new.flush()
        os.fsync(new.fileno())
    try:
        return _checked(fresh)
    except sqlite3.Error as error:
        raise Invalid(f"{source} is not a backup of Kira's ({error}).") from None


def _checked(path: Path) -> Check:
    found = check(path)
    if found.damage:
        raise Invalid(f"The file is damaged: {found.damage}. Take another backup.")
    if found.step is None:
        raise Invalid("This is a database, but not Kira's.")
    newest = steps()[-1].number
    if found.step > newest:
        raise Invalid(f"This is of a newer Kira (schema step {found.step}; this one knows {newest}). Install that.")
    return found


def _about_the_key(settings: LocalSettings) -> str:
    if settings.master_key:
        return "KIRA_MASTER_KEY is not in it. Keep that key elsewhere: without it everybody has to sign in again."
    key = settings.data / KEY_FILE
    return f"The master key is not in it. Keep a copy of {key} elsewhere: without it everybody has to sign in again."


def _counted(found: Check) -> str:
    return ", ".join(terminal.counted(found.counts.get(f"{noun}s", 0), noun) for noun in TOLD)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1_000_000:.1f} MB"


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _dated(folder: Path, name: str) -> Path:
    return folder / f"{name}-{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}.sqlite"


def _keep_names(folder: Path) -> None:
    """Make the new name survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
