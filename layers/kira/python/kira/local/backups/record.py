"""What is known of backups between starts: a small file beside the database, which is itself in no backup."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

FILE_NAME = "backups.json"


class Good(BaseModel):
    """A backup that was made and checked; `at` is in microseconds since 1970, UTC."""

    at: int
    where: str
    size: int


class Failed(BaseModel):
    """A scheduled backup that was not made."""

    at: int
    why: str


class Record(BaseModel):
    """The last good backup by anybody, the last of the schedule and on which shelf, and what went wrong since."""

    good: Good | None = None
    scheduled: Good | None = None
    shelf: str = ""
    failed: Failed | None = None


def read_record(folder: Path) -> Record:
    """Return the record of the data in `folder`; an unreadable one is as good as none."""
    try:
        return Record.model_validate_json((folder / FILE_NAME).read_bytes())
    except (OSError, ValidationError):
        return Record()


def write_record(folder: Path, **changes: object) -> None:
    """Write the record again with `changes`, in one step."""
    record = read_record(folder).model_copy(update=changes)
    fresh = folder / f".{FILE_NAME}.{os.getpid()}"
    fresh.write_text(record.model_dump_json(indent=2), encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(folder / FILE_NAME)
