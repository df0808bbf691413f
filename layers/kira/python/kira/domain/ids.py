"""Ids are UUIDv7: random enough that nobody guesses one, ordered enough that an index stays small."""

from __future__ import annotations

import re

from uuid_utils import uuid7

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def new_id() -> str:
    """Return a fresh UUIDv7 as text."""
    return str(uuid7())


def is_id(text: str) -> bool:
    """Say whether `text` is a UUID in its one canonical form."""
    return _UUID.match(text) is not None


def made_at(text: str) -> int | None:
    """Return when the UUIDv7 `text` was made, in milliseconds since 1970; None when it is no id."""
    return int(text[:8] + text[9:13], 16) if is_id(text) else None
