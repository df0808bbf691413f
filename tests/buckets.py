"""A real S3 server over HTTP on this computer, with a bucket for whoever asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.aws import CREDENTIALS, aws_server


@dataclass(frozen=True)
class S3:
    """The server's address and an official client of it."""

    endpoint: str
    client: Any

    @property
    def settings(self) -> dict[str, str]:
        """The environment in which Kira finds the server."""
        return CREDENTIALS | {"KIRA_S3_ENDPOINT": self.endpoint}

    def bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"kira-{time.monotonic_ns()}"
        self.client.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of what lies in `bucket`."""
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]


@contextmanager
def s3_server(*, refuses: bool = False) -> Iterator[S3]:
    """Run the server until the block ends; one that `refuses` knows no credentials."""
    with aws_server(checks_after=0 if refuses else None) as server:
        yield S3(server.endpoint, server.client("s3"))
