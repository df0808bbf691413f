"""What an instance fetches: objects of a bucket, checked, and secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from kira.domain.errors import KiraError

MIB = 1 << 20
PARTS = TransferConfig(multipart_chunksize=32 * MIB, max_concurrency=16)
PATIENCE = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})


class NotReady(KiraError):
    """This instance could not be made ready."""


class Store:
    """The bucket at `address` (s3://bucket/prefix), and the account's secrets."""

    def __init__(self, address: str, region: str) -> None:
        """Ask nobody yet."""
        split = urlsplit(address)
        self._bucket, self._prefix = split.netloc, split.path.strip("/")
        session = boto3.session.Session(region_name=region)
        self._s3: Any = session.client("s3", config=PATIENCE)
        self._secrets: Any = session.client("secretsmanager", config=PATIENCE)

    def text(self, name: str) -> str | None:
        """Return a small object; None where it is not there. Raises NotReady."""
        try:
            return str(self._s3.get_object(Bucket=self._bucket, Key=self._key(name))["Body"].read().decode())
        except self._s3.exceptions.NoSuchKey:
            return None
        except (BotoCoreError, ClientError) as error:
            raise NotReady(f"s3://{self._bucket}/{self._key(name)} cannot be read: {error}") from None

    def fetch(self, name: str, to: Path, sha256: str, tell: Callable[[int], None] | None = None) -> None:
        """Fetch an object to a file that appears only when its sum is right; `tell` hears of bytes. Raises NotReady."""
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(f"{to.name}.part")
        place = f"s3://{self._bucket}/{self._key(name)}"
        try:
            self._s3.download_file(self._bucket, self._key(name), str(part), Callback=tell, Config=PARTS)
        except (BotoCoreError, ClientError) as error:
            raise NotReady(f"{place} cannot be read: {error}") from None
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            part.unlink()
            raise NotReady(f"{place} is not what was promised: its SHA-256 is {found}, not {sha256}. Upload it again.")
        part.replace(to)

    def secret(self, arn: str) -> str:
        """Return the text of a secret. Raises NotReady."""
        try:
            return str(self._secrets.get_secret_value(SecretId=arn)["SecretString"])
        except (BotoCoreError, ClientError) as error:
            raise NotReady(f"The secret {arn} cannot be read: {error}") from None

    def fields(self, arn: str) -> dict[str, str]:
        """Return a secret that is a JSON object. Raises NotReady."""
        try:
            return dict(json.loads(self.secret(arn)))
        except (ValueError, TypeError):
            raise NotReady(f"The secret {arn} is not a JSON object with username and password.") from None

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name
