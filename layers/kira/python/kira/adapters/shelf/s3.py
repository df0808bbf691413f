"""A part of a bucket as a shelf, by the API of S3: every part is sent with its SHA-256, and the whole keeps one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from kira.adapters.shelf.writing import written
from kira.domain.errors import Conflict, Forbidden, Invalid, KiraError, NotFound, Unavailable
from kira.domain.limits import BACKUP_PART_BYTES, BACKUP_PARTS_MAX, BACKUP_REQUEST_SECONDS_MAX
from kira.ports.shelf import Kept, Told

DIGEST = "sha256"
"""The metadata that keeps the SHA-256 (hex) of a whole file."""

AT_ONCE = 2
RETRIES = 3
RETRY_SECONDS = 60
CREDENTIALS = "169.254.169.254"
"""Where a computer at AWS asks for its credentials; elsewhere nobody answers, so none were given."""


@dataclass(frozen=True, slots=True)
class S3Config:
    """A bucket and what the names in it begin with; `room` is for files on their way.

    `endpoint` is the address of a server other than AWS. Credentials and region are the library's to find, in AWS_*.
    """

    bucket: str
    prefix: str
    room: Path
    endpoint: str | None = None


class S3Shelf:
    """Keeps files as objects."""

    def __init__(self, config: S3Config) -> None:
        """Use the bucket of `config`; nothing is asked of it yet. Raises KiraError."""
        self._config = config
        with self._sentences(""):
            self._store = S3Store(
                config.bucket,
                endpoint=config.endpoint,
                checksum_algorithm="SHA256",
                client_options={
                    "allow_http": bool(config.endpoint and config.endpoint.startswith("http://")),
                    "connect_timeout": "10s",
                    "timeout": f"{BACKUP_REQUEST_SECONDS_MAX}s",
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
            )

    @property
    def room(self) -> Path:
        """A folder of this computer; S3 takes only what is finished."""
        return self._config.room

    def address(self, name: str) -> str:
        """Return the s3:// address of `name`."""
        return f"s3://{self._config.bucket}/{self._key(name)}"

    async def has(self, name: str) -> bool:
        """Say whether there is an object of that key."""
        try:
            with self._sentences(name):
                await obstore.head_async(self._store, self._key(name))
        except NotFound:
            return False
        return True

    async def put(self, file: Path, name: str) -> None:
        """Upload `file`; the server refuses a part whose checksum is wrong, and shows nothing before all is there."""
        if await self.has(name):
            raise Conflict(f"{self.address(name)} is there already. Choose another name, or remove it first.")
        digest, size = await asyncio.to_thread(_digest, file)
        part = max(BACKUP_PART_BYTES, -(-size // BACKUP_PARTS_MAX))
        with self._sentences(name):
            attributes = {DIGEST: digest}
            key = self._key(name)
            await obstore.put_async(
                self._store, key, file, attributes=attributes, chunk_size=part, max_concurrency=AT_ONCE
            )
            found = await obstore.head_async(self._store, key)
        if found["size"] != size:
            raise KiraError(f"{self.address(name)} has {found['size']:,} bytes instead of {size:,}.")

    async def get(self, name: str, target: Path, told: Told) -> None:
        """Download in parts, so that a lost connection costs one of them."""
        key = self._key(name)
        summed = hashlib.sha256()
        with self._sentences(name), written(target) as file:
            head = await obstore.get_async(self._store, key, options={"head": True})
            size = head.meta["size"]
            for start in range(0, size, BACKUP_PART_BYTES):
                end = min(size, start + BACKUP_PART_BYTES)
                part = await obstore.get_range_async(self._store, key, start=start, end=end)
                await asyncio.to_thread(file.write, part)
                summed.update(part)
                told(end, size)
        kept = head.attributes.get(DIGEST)
        if kept is not None and kept != summed.hexdigest():
            raise Invalid(f"{self.address(name)} was changed since it was written: its checksum is another.")

    async def kept(self) -> Sequence[Kept]:
        """Return the objects right under the prefix."""
        with self._sentences(""):
            found = await obstore.list_with_delimiter_async(self._store, self._config.prefix or None)
        names = [Kept(each["path"].rpartition("/")[2], each["size"]) for each in found["objects"]]
        return sorted(names, key=lambda each: each.name)

    async def remove(self, name: str) -> None:
        """Remove the object."""
        with self._sentences(name):
            await obstore.delete_async(self._store, self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._config.prefix}/{name}" if self._config.prefix else name

    @contextmanager
    def _sentences(self, name: str) -> Iterator[None]:
        """Say what went wrong without the headers and bodies that the library's own texts are full of."""
        try:
            yield
        except FileNotFoundError as error:
            self._find_bucket(error)
            raise NotFound(f"There is no {self.address(name)}.") from None
        except (PermissionDeniedError, UnauthenticatedError):
            told = f"{self.address(name)} is refused to these credentials."
            raise Forbidden(f"{told} Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do.") from None
        except (BaseError, ValueError) as error:
            self._find_bucket(error)
            if CREDENTIALS in str(error):
                told = "There are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
                raise Forbidden(told) from None
            told = f"{self._config.endpoint or 'S3'} could not do it ({_why(error)})."
            raise Unavailable(told, retry_after_s=RETRY_SECONDS) from None

    def _find_bucket(self, error: Exception) -> None:
        if "NoSuchBucket" in str(error):
            raise NotFound(f"There is no bucket {self._config.bucket}. Make it, or name another.") from None


def _digest(file: Path) -> tuple[str, int]:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, DIGEST).hexdigest(), opened.tell()


def _why(error: Exception) -> str:
    """Return the end of the first line: the rest is counts, and a body may name an access key."""
    return str(error).partition("\n")[0].rpartition(" - ")[2].partition("<")[0].strip(" :.")
