"""The database of a rehearsal of AWS: made by the deployed `migrate`, reached as the deployed functions reach it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import psycopg
from tests.engines import PAST, Postgres
from tests.rehearsal.home import empty, of_process
from tests.rehearsal.host.environment import environment_of
from tests.rehearsal.host.function import Function
from tests.rehearsal.host.runtime import managed_runtime
from tests.rehearsal.host.spec import Spec

from kira.adapters.database.catalogue import Catalogue
from kira.adapters.database.postgres import open_asleep
from kira.cloud.settings import read
from kira.cloud.world import Cloud
from kira.ports.database import Database

AWS = "aws"
READER = "chat"
"""The function whose settings and whose role are used; all that serve users have the same way in."""


class Rehearsed(Postgres):
    """Each folder has a database there, of which functions and alarms of the rehearsal know nothing."""

    def __init__(self) -> None:
        """Start nothing yet."""
        super().__init__(AWS)

    def __call__(self, folder: Path, catalogue: Catalogue | None = None) -> Database:
        """Open the database of `folder` as a function does: with its secret, over TLS."""
        found = of_process()
        environment = environment_of(found.functions.named(READER).spec, managed_runtime(), Path("/opt"))
        own = {"KIRA_DATABASE_CA": str(found.authority.file), "KIRA_DATABASE_NAME": self._name(folder)}
        return open_asleep(Cloud(read(environment | own)).database_config(), catalogue)

    def address(self, folder: Path, user: str = "kira_app") -> str:
        """Return the connection string of `user` for the database of `folder`, past every wall before it."""
        return of_process().cluster.own(self._name(folder), user)

    def _name(self, folder: Path) -> str:
        if folder not in self._known:
            self._known[folder] = name = f"kira_{len(self._known)}"
            _migrated(name)
            empty(of_process(), database=name)
        return self._known[folder]


@cache
def _migrated(name: str) -> None:
    """Let `migrate` make the database `name`, as during a deploy."""
    found = of_process()
    spec: Spec = found.functions.named("migrate").spec
    there = replace(spec, environment={**spec.environment, "KIRA_DATABASE_NAME": name})
    function = Function(there, managed_runtime(), found.folder / name)
    try:
        function.invoke(b"{}")
    finally:
        function.close()
    with psycopg.connect(found.cluster.own(name), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (PAST,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {PAST} LOGIN BYPASSRLS IN ROLE kira_app".encode())
            connection.execute(f"ALTER ROLE {PAST} SET search_path = kira".encode())
