"""What makes a file a backup of this Kira: whole, Kira's, and of a known schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kira.adapters.database.backup import Check, check
from kira.adapters.database.schema import steps
from kira.domain.errors import Invalid


def checked(path: Path, stopped: Callable[[], bool] | None = None) -> Check:
    """Look a backup over, until `stopped`. Raises Invalid with what is wrong, and sqlite3.Error."""
    found = check(path, stopped)
    if found.damage:
        raise Invalid(f"The file is damaged: {found.damage}. Take another backup.")
    if found.step is None:
        raise Invalid("This is a database, but not Kira's.")
    newest = steps()[-1].number
    if found.step > newest:
        raise Invalid(f"This is of a newer Kira (schema step {found.step}; this one knows {newest}). Install that.")
    return found
