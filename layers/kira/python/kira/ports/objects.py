"""Objects: what users keep that is too large for the database, each user's apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Thing:
    """One object with its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Signed:
    """An address that counts for a while, without any other key, and the headers that have to go along."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Objects(Protocol):
    """Keeps objects under names; whoever acts for one user reaches nothing of another.

    A name is made of parts with letters, digits, `.`, `_` and `-`, with `/` between them; any other is Invalid.
    """

    async def put(self, user_id: str, name: str, data: bytes, kind: str) -> None:
        """Keep `data` of the media type `kind` as `name`, in the place of what was there."""

    async def get(self, user_id: str, name: str) -> bytes:
        """Return what is kept as `name`; raises NotFound."""

    async def remove(self, user_id: str, name: str) -> None:
        """Remove `name`, if it is there."""

    async def things(self, user_id: str, prefix: str = "") -> Sequence[Thing]:
        """Return the user's objects whose names begin with `prefix`, in the order of names."""

    async def upload(self, user_id: str, name: str, kind: str, size: int) -> Signed | None:
        """Return where a browser may PUT exactly this; None where objects have no address, so they go through Kira."""

    async def download(self, user_id: str, name: str) -> Signed | None:
        """Return where a browser may GET it; None where objects have no address."""
