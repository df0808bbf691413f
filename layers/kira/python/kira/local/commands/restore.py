"""`kira restore`: a backup is fetched, checked, and only then put in place of what is there."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from kira.adapters.clock.system import SystemClock
from kira.adapters.database.backup import Check, check
from kira.adapters.shelf.writing import keep_names
from kira.adapters.vault.keyfile import FILE_NAME as KEY_FILE
from kira.domain.errors import Conflict, Invalid, KiraError
from kira.local import terminal
from kira.local.backups.checked import checked
from kira.local.backups.places import dated, split
from kira.local.commands.backup import check_file, holding
from kira.local.lock import alone
from kira.local.settings import BUCKETS, LocalSettings, read
from kira.local.world import open_shelf


def restore(source: str, *, sure: bool, data: object) -> None:
    """Put the backup `source` in the place of the database, once it is checked; keep what was there.

    Raises Conflict while Kira runs on the data, Invalid for a file that is no whole backup of this Kira.
    """
    settings = read(data=data)
    check_file(settings)
    _check_source(source)
    with alone(settings.data):
        present = Present(settings.database_file)
        fresh = present.path.with_name(f"{present.path.name}.restoring")
        try:
            found = _fetch(source, fresh, settings)
            print(f"The backup {source} is whole: {holding(found)}, schema step {found.step}.")
            print(present.described())
            if not sure and not terminal.confirm("Put the backup in its place?"):
                print("Nothing was changed.")
                return
            kept = present.replace_with(fresh)
        except OSError as error:
            raise KiraError(f"The backup was not restored: {error.strerror or error}.") from None
        finally:
            fresh.unlink(missing_ok=True)
    print(f"Restored {holding(found)}." + (f" What was there is kept as {kept}." if kept else ""))
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
            return f"It will replace {self.path}: {holding(check(self.path))}."
        except sqlite3.Error as error:
            return f"It will replace {self.path}, which cannot be read ({error})."

    def replace_with(self, fresh: Path) -> Path | None:
        """Put `fresh` in its place in one step and return where the old file is kept."""
        kept = self._keep() if self.path.exists() else None
        fresh.replace(self.path)
        keep_names(self.path.parent)
        return kept

    def _keep(self) -> Path:
        self._fold_journal()
        kept = self.path.parent / dated("kira-replaced", SystemClock().now())
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
                told = f"Another program has {self.path} open. Close it (Kira, a worker, sqlite3, Litestream)"
                raise Conflict(f"{told} and try again.") from None
        except sqlite3.DatabaseError:
            pass  # It is damaged, which may be why it is replaced; it is kept as it is.


def _check_source(source: str) -> None:
    """Raise Invalid for what names no file, or one that another program writes."""
    if not split(source)[1]:
        raise Invalid(f"{source} is a place for many backups. Name one file in it.")
    journal = Path(f"{source}-wal")
    if not source.startswith(BUCKETS) and journal.exists() and journal.stat().st_size:
        raise Invalid(f"{source} is in use or was copied while in use. Give a file that `kira backup` wrote.")


def _fetch(source: str, fresh: Path, settings: LocalSettings) -> Check:
    """Copy `source` beside the database and check the copy, so that what was checked is what is used."""
    place, name = split(source)
    with terminal.progress("Copying") as tell:
        asyncio.run(open_shelf(place, settings).get(name, fresh, tell))
    try:
        return checked(fresh)
    except sqlite3.Error as error:
        raise Invalid(f"{source} is not a backup of Kira's ({error}).") from None
