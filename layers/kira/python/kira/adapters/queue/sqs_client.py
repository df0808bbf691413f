"""The official client of SQS for a process that is not a function, which has its own."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from kira.domain.limits import HINT_POLL_SECONDS

CONNECT_SECONDS = 5


def client_of(url: str) -> Any:
    """Return the official client for the queue at `url`, on AWS or anywhere else."""
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells where it found credentials
    session = boto3.session.Session()
    where = urlsplit(url)
    found = re.fullmatch(r"sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?", where.hostname or "")
    return session.client(
        "sqs",
        region_name=found[1] if found else session.region_name or "us-east-1",
        endpoint_url=None if found else f"{where.scheme}://{where.netloc}",
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=HINT_POLL_SECONDS + CONNECT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2},
        ),
    )
