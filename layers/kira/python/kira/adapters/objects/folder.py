"""Objects as files of one folder, a folder for each user in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kira.adapters.objects.names import key_of, prefix_of
from kira.domain.errors import Conflict, KiraError, NotFound
from kira.ports.objects import Signed, Thing


class FolderObjects:
    """Keeps the Objects promise on a disk."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not be there yet."""
        self._folder = folder

    async def put(self, user_id: str, name: str, data: bytes, kind: str) -> None:  # noqa: ARG002 - a file has no type
        """Write beside, then rename, so that nobody ever reads half of it."""
        await asyncio.to_thread(self._put, self._folder / key_of(user_id, name), data)

    async def get(self, user_id: str, name: str) -> bytes:
        """Read the file; raises NotFound."""
        with _sentences(name):
            return await asyncio.to_thread((self._folder / key_of(user_id, name)).read_bytes)

    async def remove(self, user_id: str, name: str) -> None:
        """Remove the file."""
        with _sentences(name):
            await asyncio.to_thread((self._folder / key_of(user_id, name)).unlink, missing_ok=True)

    async def things(self, user_id: str, prefix: str = "") -> Sequence[Thing]:
        """Return the files."""
        return await asyncio.to_thread(self._things, user_id, prefix_of(user_id, prefix))

    async def upload(self, user_id: str, name: str, kind: str, size: int) -> Signed | None:  # noqa: ARG002 - a port's
        """Return nothing: files have no address."""
        key_of(user_id, name)
        return None

    async def download(self, user_id: str, name: str) -> Signed | None:
        """Return nothing: files have no address."""
        key_of(user_id, name)
        return None

    def _put(self, target: Path, data: bytes) -> None:
        with _sentences(target.name):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = target.with_name(f".{secrets.token_hex(8)}")
            fresh.write_bytes(data)
            fresh.replace(target)

    def _things(self, user_id: str, begins: str) -> list[Thing]:
        own = self._folder / "users" / user_id
        files = [path for path in own.rglob("*") if path.is_file() and not path.name.startswith(".")]
        keys = {path.relative_to(self._folder).as_posix(): path.stat().st_size for path in files}
        first = len(f"users/{user_id}/")
        return [Thing(key[first:], keys[key]) for key in sorted(keys) if key.startswith(begins)]


@contextmanager
def _sentences(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"There is no object {name}.") from None
    except (IsADirectoryError, NotADirectoryError, FileExistsError):
        raise Conflict(f"{name} cannot be both an object and the beginning of another's name.") from None
    except OSError as error:
        raise KiraError(f"The object {name} cannot be kept: {error.strerror or error}.") from None
