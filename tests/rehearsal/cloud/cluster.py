"""A real PostgreSQL 16 that stands for Aurora's cluster: with TLS, passwords, and a master who is no superuser."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from tests.bench.rig import free_port
from tests.engines import FAST, binaries, folder_of_server
from tests.rehearsal.cloud.tls import Authority, TlsFront

from kira.adapters.database.postgres.embedded import Embedded

TRUSTED = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
PORT = 5432
"""Aurora's port, on an address of loopback that nobody else has."""


class Cluster:
    """The cluster: functions reach it at `address`, the harness past every wall with `own`."""

    def __init__(self, authority: Authority) -> None:
        """Start it; it has no database of Kira's yet."""
        folder = folder_of_server()
        (folder / "hba").write_text(TRUSTED)
        port = free_port()
        options = [*FAST, "-c", f"hba_file={folder / 'hba'}", "-c", "max_connections=200"]
        self._server = Embedded(folder / "pg", binaries=binaries("postgres16"), port=port, options=options)
        self._front = TlsFront(authority, ("127.0.0.1", port), PORT)

    @property
    def address(self) -> str:
        """The writer's address."""
        return self._front.address

    def own(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the address of a superuser, whom Aurora does not have, or of another role, without its password."""
        return self._server.address(user, database)

    def make_master(self, user: str, password: str, database: str) -> None:
        """Do what Aurora does with a new cluster: a master, who may make roles and databases, and a database."""
        with psycopg.connect(self.own(), autocommit=True) as connection:
            name, word = sql.Identifier(user), sql.Literal(password)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}").format(name, word))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), name))

    def stop(self) -> None:
        """End it."""
        self._front.close()
        self._server.stop(signal.SIGQUIT)


@contextmanager
def cluster_behind(authority: Authority) -> Iterator[Cluster]:
    """Run a cluster until the block ends."""
    made = Cluster(authority)
    try:
        yield made
    finally:
        made.stop()
