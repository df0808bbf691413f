"""The shelf: where backups lie, each whole under its name or not there at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Told = Callable[[int, int], None]
"""Takes how many bytes are done and how many there are in all."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One file on a shelf, with its size in bytes."""

    name: str
    size: int


class Shelf(Protocol):
    """A folder or a part of a bucket; what goes wrong is a KiraError with a sentence."""

    @property
    def room(self) -> Path:
        """A folder of this computer in which a file can be made before it is put; it may not be there yet."""

    def address(self, name: str) -> str:
        """Return what people call the file `name`."""

    async def has(self, name: str) -> bool:
        """Say whether there is a file `name`."""

    async def put(self, file: Path, name: str) -> None:
        """Keep `file` as `name`; it may be gone from its room afterwards. Raises Conflict when `name` is taken."""

    async def get(self, name: str, target: Path, told: Told) -> None:
        """Write the file `name` to `target`, as it was put. Raises NotFound, and Invalid when it was changed since."""

    async def kept(self) -> Sequence[Kept]:
        """Return what lies on the shelf, in the order of names."""

    async def remove(self, name: str) -> None:
        """Remove the file `name`, if it is there."""
