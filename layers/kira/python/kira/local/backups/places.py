"""Addresses of backups: a folder and a name, or a bucket, a prefix and a name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kira.domain.moments import SECOND
from kira.local.settings import BUCKETS, LocalSettings


def place_of(settings: LocalSettings) -> str:
    """Return the address of the shelf on which backups lie that nobody gave another place."""
    return settings.backup or str(settings.data / "backups")


def split(address: str) -> tuple[str, str]:
    """Return the shelf and the name of a backup; the name is empty when only a shelf is given."""
    if address.startswith(BUCKETS):
        bucket, slash, key = address.removeprefix(BUCKETS).partition("/")
        prefix, _, name = key.rpartition("/")
        return (f"{BUCKETS}{bucket}/{prefix}".rstrip("/"), name) if slash else (address, "")
    path = Path(address)
    return (str(path), "") if path.is_dir() else (str(path.parent), path.name)


def bucket_of(shelf: str) -> tuple[str, str]:
    """Return bucket and prefix of a shelf in S3."""
    bucket, _, prefix = shelf.removeprefix(BUCKETS).partition("/")
    return bucket, prefix.strip("/")


def dated(name: str, moment: int) -> str:
    """Return a name for a file that is made at `moment` (microseconds since 1970, UTC); later ones sort after it."""
    return f"{name}-{datetime.fromtimestamp(moment / SECOND, UTC):%Y-%m-%dT%H%M%SZ}.sqlite"
