"""Functions on services and a database of this computer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.aws import Aws, aws_server
from tests.cloud.calling import settings
from tests.engines import fresh


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    """The services."""
    with aws_server() as server:
        yield server


@pytest.fixture
def environment(aws: Aws) -> dict[str, str]:
    """The environment of a function on a new database."""
    _, address = fresh("postgres16")
    found = conninfo_to_dict(address)
    return settings(aws, str(found["host"]), int(found["port"] or 5432), str(found["dbname"]))
