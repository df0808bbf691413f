"""The walls of a PostgreSQL server behind the proofs: no identity, no rows; nothing stays on a pooled connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from tests.adapters.database.catalogues import forge, write
from tests.bouncer import SERVER_CONNECTIONS
from tests.engines import TABLES, Postgres

from kira.adapters.database.catalogue import load
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase
from kira.adapters.database.postgres.exchange import exchange
from kira.domain.errors import UnprovenStatement
from kira.ports.database import Call

USERS = [f"018f0000-0000-7000-8000-0000000000{number:02}" for number in range(30)]
ANNA, BELA = USERS[:2]
WAYS = ("postgres", "postgres16", "pgbouncer")
READ = b"SELECT user_id, title FROM conversations"
FORGED = {"read": READ.decode(), "commit": "COMMIT"}


class Place:
    """A database in which every user has one conversation, called like its user."""

    def __init__(self, name: str, folder: Path) -> None:
        """Make and settle it."""
        self.engine, self.folder = Postgres(name), folder
        self.address = self.engine.address(folder)
        for user in USERS:
            self.engine.past(
                folder, "INSERT INTO users (id, name, role, created_at) VALUES (?, ?, 'user', 1)", user, user
            )
            self.engine.past(
                folder,
                "INSERT INTO conversations (user_id, id, title, created_at, updated_at) VALUES (?, 'c', ?, 1, 1)",
                *(user, user),
            )

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Sign in as the application does, with nothing of Kira's between."""
        return psycopg.connect(self.address, autocommit=True, prepare_threshold=None)


@pytest.fixture(scope="module", params=WAYS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
async def database(place: Place, tmp_path: Path) -> AsyncIterator[PostgresDatabase]:
    """One connection, and statements of the test's own whose proofs lie."""
    catalogue = forge(write(tmp_path, FORGED), dict.fromkeys(FORGED, ([], None)), "postgres")
    made = PostgresDatabase(PostgresConfig(place.address, connections=1), catalogue)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM {}", "DELETE FROM {}", "UPDATE {} SET {} = 'x'", "TABLE {}", "COPY {} TO STDOUT"]
)
def test_without_an_identity_there_is_an_error_and_no_page(place: Place, sql: str) -> None:
    with place.connect() as connection:
        for table in TABLES:
            statement = sql.format(table, "id" if table == "users" else "user_id")
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.cursor() as cursor:
                if sql.startswith("COPY"):
                    with cursor.copy(statement.encode()) as copied:
                        copied.read()
                cursor.execute(statement.encode())


def test_an_empty_identity_is_none(place: Place) -> None:
    with place.connect() as connection, connection.transaction():
        connection.execute("SELECT begin_as('', false)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(READ)


async def test_the_identity_of_a_former_transaction_is_gone(database: PostgresDatabase) -> None:
    (row,) = await database.of(ANNA).query("test.read")
    assert row["title"] == ANNA
    async with database.pool.connection() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await exchange(connection, [(READ, ())])
        async with connection.transaction():
            await exchange(connection, [(b"SELECT begin_as($1, false)", [BELA])])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await exchange(connection, [(READ, ())])
    (row,) = await database.of(BELA).query("test.read")
    assert row["title"] == BELA


async def test_who_ends_the_transaction_early_has_no_identity_any_more(database: PostgresDatabase) -> None:
    with pytest.raises(UnprovenStatement):
        await database.of(ANNA).run([Call("test.commit"), Call("test.read")])


async def test_the_narrow_role_is_taken_off_with_its_transaction(database: PostgresDatabase) -> None:
    assert await database.system.run([]) == []
    async with database.pool.connection() as connection:
        await exchange(connection, [(b"SELECT begin_across(false)", ())])
        (named,) = await exchange(connection, [(b"SELECT current_user::text", ())])
        assert named.get_value(0, 0) == b"kira_app"


@pytest.mark.parametrize("table", ["messages", "conversations", "settings", "widgets", "limits"])
@pytest.mark.parametrize("sql", ["SELECT 1 FROM {}", "DELETE FROM {}", "SELECT count(*) FROM {}"])
def test_the_narrow_role_cannot_read_what_users_write(place: Place, table: str, sql: str) -> None:
    with place.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT begin_across(false)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.format(table).encode())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT messages_found('x', 9)",
        "INSERT INTO users (id, name, role, created_at) SELECT user_id, title, 'user', 1 FROM conversations",
    ],
)
def test_nor_through_what_others_may_do(place: Place, sql: str) -> None:
    with place.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT begin_across(false)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.encode())


def test_copies_and_cursors_stay_within_the_user(place: Place) -> None:
    with place.connect() as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT begin_as(%s, false)", (ANNA,))
        with cursor.copy("COPY (SELECT title FROM conversations) TO STDOUT") as copied:
            assert [bytes(line) for line in copied] == [f"{ANNA}\n".encode()]
        cursor.execute("DECLARE mine CURSOR FOR SELECT title FROM conversations")
        assert cursor.execute("FETCH ALL FROM mine").fetchall() == [(ANNA,)]
    with place.connect() as connection, pytest.raises(psycopg.errors.FeatureNotSupported), connection.transaction():
        connection.execute("SELECT begin_as(%s, false)", (ANNA,))
        with connection.cursor().copy("COPY conversations FROM STDIN") as copied:
            copied.write_row((BELA, "d", "x", "user", None, 1, 1))


def test_row_security_cannot_be_switched_off(place: Place) -> None:
    with place.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT begin_as(%s, false)", (ANNA,))
        connection.execute("SET LOCAL row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(READ)


async def test_many_users_behind_few_connections_each_see_their_own(tmp_path: Path) -> None:
    place = Place("pgbouncer", tmp_path)
    made = PostgresDatabase(PostgresConfig(place.address, connections=len(USERS)), load("postgres"))

    async def ask(user: str) -> set[str]:
        seen = set()
        for _ in range(10):
            seen |= {row["title"] for row in await made.of(user).query("conversations.page", {"items": 99})}
            async with made.of(user).transaction() as rows:
                seen |= {row["title"] for row in await rows.query("conversations.page", {"items": 99})}
        return seen

    assert await asyncio.gather(*map(ask, USERS)) == [{user} for user in USERS]
    counted = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'kira_app' AND datname = current_database()"
    ((backends,),) = place.engine.past(tmp_path, counted)
    assert 0 < backends <= SERVER_CONNECTIONS
    await made.close()


def test_the_control_leaks_an_identity_of_a_session_behind_a_pooler(tmp_path: Path) -> None:
    """What Kira does not do: named for the session, Bela's identity serves whoever comes next."""
    place = Place("pgbouncer", tmp_path)
    with place.connect() as bela, place.connect() as other:
        bela.execute("SELECT set_config('kira.user_id', %s, false)", (BELA,))
        assert other.execute(READ).fetchall() == [(BELA, BELA)]
