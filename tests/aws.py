"""Services of AWS over HTTP on this computer, for tests; what they cannot prove stands in the tests that use them."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

SECRET = "not-to-be-printed-anywhere"
SERVER = """
import threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
threading.Event().wait()
"""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "kira", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
PATIENCE_SECONDS = 60
MASTER_KEY = "a master key for tests that is long enough"
REGION = CREDENTIALS["AWS_REGION"]
KEY_ID = CREDENTIALS["AWS_ACCESS_KEY_ID"]


@dataclass(frozen=True)
class Aws:
    """Where the services are, and an official client for each."""

    endpoint: str

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a function that finds them here."""
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint}

    def client(
        self, service: str, *, aws_access_key_id: str = KEY_ID, aws_secret_access_key: str = SECRET, **config: Any
    ) -> Any:
        """Return an official client of `service`, with `config` for how it asks."""
        return boto3.session.Session().client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key=aws_secret_access_key,
            config=Config(connect_timeout=PATIENCE_SECONDS, read_timeout=PATIENCE_SECONDS, **config),
        )

    def queue(self) -> str:
        """Make a queue and return its address."""
        name = f"kira-{time.monotonic_ns()}"
        return str(self.client("sqs").create_queue(QueueName=name)["QueueUrl"])

    def secret(self, text: str) -> str:
        """Keep a secret and return its ARN."""
        made = self.client("secretsmanager").create_secret(Name=secrets.token_hex(8), SecretString=text)
        return str(made["ARN"])


@contextmanager
def aws_server(*, checks_after: int | None = None) -> Iterator[Aws]:
    """Run the services until the block ends; signatures and rights are checked after so many requests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    if checks_after is not None:
        clean["INITIAL_NO_AUTH_ACTION_COUNT"] = str(checks_after)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean
    ) as process:
        try:
            assert process.stdout is not None
            host, port = process.stdout.readline().split()
            yield Aws(f"http://{host}:{port}")
        finally:
            process.kill()
