"""`kira backup`: everything in one checked file, on a disk or in S3."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from kira.adapters.clock.system import SystemClock
from kira.adapters.database.backup import Check
from kira.adapters.vault.keyfile import FILE_NAME as KEY_FILE
from kira.domain.errors import Conflict, Invalid, NotFound
from kira.local import terminal
from kira.local.backups.making import Made, Pace, make
from kira.local.backups.places import dated, place_of, split
from kira.local.backups.record import Good, write_record
from kira.local.settings import LocalSettings, read
from kira.local.world import open_shelf

TOLD = ("user", "conversation", "message")


def back_up(target: str | None, *, data: object) -> None:
    """Copy the database, which may be in use, to `target` and check the copy."""
    settings = read(data=data)
    check_file(settings)
    if not settings.database_file.is_file():
        raise NotFound(f"There is no data in {settings.data} yet, so there is nothing to back up.")
    place, name = split(target) if target else (place_of(settings), "")
    begun = SystemClock().now()
    made = asyncio.run(_make(settings, place, name or dated("kira", begun)))
    with suppress(OSError):  # the backup is there, also where nothing more can be written down
        write_record(settings.data, good=Good(at=begun, where=made.where, size=made.size))
    step = f"schema step {made.found.step}"
    size = f"{made.size / 1_000_000:.1f} MB"
    print(f"Backed up {holding(made.found)} to {made.where} ({size}, {step}); the copy was checked.")
    print(_about_the_key(settings))


async def _make(settings: LocalSettings, place: str, name: str) -> Made:
    shelf = open_shelf(place, settings)
    if await shelf.has(name):
        raise Conflict(f"{shelf.address(name)} is there already. Choose another name, or remove it first.")
    with terminal.progress("Copying") as tell:
        return await make(settings, shelf, name, Pace(tell))


def check_file(settings: LocalSettings) -> None:
    """Raise Invalid when Kira's data is not a file."""
    if not settings.uses_file:
        told = "KIRA_DATABASE is a PostgreSQL server, which has backups of its own"
        raise Invalid(f"{told}: pg_dump, or what its host offers; docs/several-hosts.md shows both ways.")


def holding(found: Check) -> str:
    """Return what a checked file holds, as `1 user, 2 conversations, 4 messages`."""
    return ", ".join(terminal.counted(found.counts.get(f"{noun}s", 0), noun) for noun in TOLD)


def _about_the_key(settings: LocalSettings) -> str:
    if settings.master_key:
        return "KIRA_MASTER_KEY is not in it. Keep that key elsewhere: without it everybody has to sign in again."
    key = settings.data / KEY_FILE
    return f"The master key is not in it. Keep a copy of {key} elsewhere: without it everybody has to sign in again."
