"""A folder as a shelf: made beside, renamed when it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kira.adapters.shelf.writing import keep_names, written
from kira.domain.errors import Conflict, KiraError, NotFound
from kira.ports.shelf import Kept, Told

CHUNK_BYTES = 4 * 1024 * 1024


class FolderShelf:
    """Keeps files in a folder of this computer, or one that is mounted there."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not be there yet."""
        self._folder = folder

    @property
    def room(self) -> Path:
        """The folder itself, so that a rename is enough."""
        return self._folder

    def address(self, name: str) -> str:
        """Return the path of `name`."""
        return str(self._folder / name)

    async def has(self, name: str) -> bool:
        """Say whether there is anything called `name`."""
        return await asyncio.to_thread((self._folder / name).exists)

    async def put(self, file: Path, name: str) -> None:
        """Rename `file`, which lies in the room, to `name`."""
        await asyncio.to_thread(self._put, file, name)

    async def get(self, name: str, target: Path, told: Told) -> None:
        """Copy `name` to `target`."""
        await asyncio.to_thread(self._get, name, target, told)

    async def kept(self) -> Sequence[Kept]:
        """Return the files of the folder; those with a leading dot are not whole yet."""
        return await asyncio.to_thread(self._kept)

    async def remove(self, name: str) -> None:
        """Remove `name`."""
        with _sentences(f"{self.address(name)} cannot be removed"):
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)

    def _put(self, file: Path, name: str) -> None:
        target = self._folder / name
        if target.exists():
            raise Conflict(f"{target} is there already. Choose another name, or remove it first.")
        with _sentences(f"{target} cannot be written"):
            file.replace(target)
            keep_names(self._folder)

    def _get(self, name: str, target: Path, told: Told) -> None:
        source = self._folder / name
        if not source.is_file():
            raise NotFound(f"There is no file {source}.")
        with _sentences(f"{source} cannot be copied"), source.open("rb") as old, written(target) as new:
            size = source.stat().st_size
            while chunk := old.read(CHUNK_BYTES):
                new.write(chunk)
                told(new.tell(), size)

    def _kept(self) -> list[Kept]:
        if not self._folder.is_dir():
            return []
        with _sentences(f"{self._folder} cannot be read"):
            files = [path for path in self._folder.iterdir() if path.is_file() and not path.name.startswith(".")]
            return sorted((Kept(path.name, path.stat().st_size) for path in files), key=lambda each: each.name)


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KiraError(f"{what}: {error.strerror or error}.") from None
