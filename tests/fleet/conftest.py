"""What the fleet's tests stand on: AWS's answers, a PostgreSQL that wants TLS, and an empty instance."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.buckets import s3_server
from tests.engines import folder_of_server
from tests.fleet.cloud import Cloud, open_cloud
from tests.fleet.instance import Instance
from tests.fleet.tls import Front, open_front
from tests.hosts.rig import Hosts, Postgres, open_hosts, open_postgres


@dataclass
class Place:
    """An instance of the fleet, and the Kira whose runs it works on."""

    instance: Instance
    hosts: Hosts
    front: Front
    folder: Path

    @property
    def database(self) -> dict[str, str]:
        """What the stack knows of the database."""
        split = urlsplit(self.hosts.database)
        login = {"username": unquote(split.username or ""), "password": unquote(split.password or "")}
        return {**login, "host": "127.0.0.1", "port": str(self.front.port), "name": split.path.strip("/")}


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with s3_server() as server:
        yield server.endpoint


@pytest.fixture
def cloud(moto: str) -> Iterator[Cloud]:
    with open_cloud(moto) as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with open_postgres(folder_of_server()) as made:
        yield made


@pytest.fixture
def hosts(postgres: Postgres, tmp_path: Path) -> Iterator[Hosts]:
    with open_hosts(tmp_path, postgres, KIRA_MASTER_KEY=secrets.token_urlsafe(32)) as made:
        yield made


@pytest.fixture
def place(cloud: Cloud, hosts: Hosts, tmp_path: Path) -> Iterator[Place]:
    root = tmp_path / "instance"
    root.mkdir()
    instance = Instance(root, cloud)
    with open_front(hosts.postgres.port, tmp_path) as front:
        try:
            yield Place(instance, hosts, front, tmp_path)
        finally:
            instance.end()
