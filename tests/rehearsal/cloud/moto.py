"""A moto server of one's own: AWS as far as it is played on this computer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from tests.rehearsal.host.spec import REGION

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
"""Ends when nobody holds the other end of its input any more, even where the tests were killed."""
OURS = {"AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal", "AWS_REGION": REGION}
"""The harness itself; no function has this key."""


class Moto:
    """Where it listens, and official clients of it."""

    def __init__(self, port: int) -> None:
        """Remember the port."""
        self.port = port
        # moto finds a template by this word of its address; the number would not do.
        self.address = f"http://localhost:{port}"

    def client(self, service: str) -> Any:
        """Return a client with the harness's own key."""
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name=REGION,
            aws_access_key_id=OURS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=OURS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, read_timeout=60, retries={"total_max_attempts": 1}),
        )


@contextmanager
def moto_server() -> Iterator[Moto]:
    """Run one until the block ends."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=clean | {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
    ) as process:
        try:
            assert process.stdout is not None
            yield Moto(int(process.stdout.readline()))
        finally:
            process.kill()
