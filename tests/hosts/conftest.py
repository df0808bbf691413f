"""Hosts for the tests: a PostgreSQL for all, and three instances with two workers behind Caddy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hosts.rig import Hosts, Postgres, fill, open_hosts, open_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with open_postgres(_open(tmp_path_factory.mktemp("postgres"))) as made:
        yield made


@pytest.fixture(scope="session")
def hosts(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with open_hosts(tmp_path_factory.mktemp("hosts"), postgres) as made:
        yield fill(made)


def _open(folder: Path) -> Path:
    """Let PostgreSQL's own user pass, where root runs the tests."""
    for each in (folder, *folder.parents[:3]):
        each.chmod(each.stat().st_mode | 0o011)
    return folder
