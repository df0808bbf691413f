"""Names of objects, checked before anything is made of them."""

from __future__ import annotations

import re

from kira.domain.errors import Invalid
from kira.domain.ids import is_id
from kira.domain.limits import OBJECT_NAME_CHARACTERS_MAX

_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*")


def key_of(user_id: str, name: str) -> str:
    """Return the key under which a user's object is kept; raises Invalid."""
    if not is_id(user_id) or len(name) > OBJECT_NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
        raise Invalid("This is not a name for an object.")
    return f"users/{user_id}/{name}"


def prefix_of(user_id: str, prefix: str) -> str:
    """Return how the keys of a user's objects begin; raises Invalid."""
    return key_of(user_id, f"{prefix}x").removesuffix("x") if prefix else key_of(user_id, "x").removesuffix("x")
