"""Making a server ready, again and again, by a superuser or the owner of the database; and looking at what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.engines import FAST, SERVERS, binaries, empty, folder_of_server, fresh

from kira.adapters.database.postgres import PostgresConfig
from kira.adapters.database.postgres.embedded import Embedded
from kira.adapters.database.postgres.init import init
from kira.adapters.database.postgres.looking import INIT, check
from kira.adapters.database.postgres.steps import STEPS, bring_up_to_date, steps
from kira.domain.errors import WrongSetting

SECRET = "hunter2hunter2"


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Embedded]:
    """A server without Kira's roles, which asks for passwords as servers of others do."""
    made = Embedded(folder_of_server() / "pg", binaries=binaries(request.param), options=FAST)
    rules = made.folder / "data" / "pg_hba.conf"
    rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
    with psycopg.connect(made.address(), autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE ROLE boss LOGIN CREATEROLE PASSWORD '{SECRET}'")
    yield made
    made.stop()


def run(server: Embedded, sql: str, database: str = "postgres") -> None:
    with psycopg.connect(server.address(database=database), autocommit=True) as connection:
        connection.execute(sql.encode())


def of(address: str, **parts: Any) -> PostgresConfig:
    return PostgresConfig(make_conninfo(address, **parts), connect_s=2)


def refusal(config: PostgresConfig) -> str:
    with pytest.raises(WrongSetting) as refused:
        check(config)
    assert SECRET not in refused.value.message
    assert SECRET not in repr(refused.value.__cause__)
    return refused.value.message


def test_the_owner_of_a_database_makes_it_ready_twice(server: Embedded) -> None:
    """As on a service that gives nobody a superuser: who may make roles and owns the database does it all."""
    run(server, "CREATE DATABASE owned OWNER boss")
    address = f"{server.address('boss', 'owned')} password={SECRET}"
    first = init(address)
    assert first.is_new
    assert first.applied == steps()
    check(PostgresConfig(first.address))
    again = init(address)
    assert not again.is_new
    assert again.applied == []
    given = init(address, "given password '\"\\ %")
    check(PostgresConfig(given.address))
    assert "28P01" in _state(first.address), "the former password is over"
    run(server, "CREATE DATABASE second OWNER boss")
    other = init(f"{server.address('boss', 'second')} password={SECRET}", SECRET)
    check(PostgresConfig(other.address))


def _state(address: str) -> str:
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError as error:
        return f"{error.sqlstate or ''} 28P01" if "password authentication failed" in str(error) else str(error)
    return "open"


def test_a_superuser_makes_what_the_owner_made_ready_again(server: Embedded) -> None:
    run(server, "CREATE DATABASE mixed OWNER boss")
    init(f"{server.address('boss', 'mixed')} password={SECRET}")
    assert not init(server.address(database="mixed")).is_new
    init(f"{server.address('boss', 'mixed')} password={SECRET}")


def test_who_may_make_no_roles_is_told_so(server: Embedded) -> None:
    run(server, f"CREATE ROLE nobody LOGIN PASSWORD '{SECRET}'")
    with pytest.raises(WrongSetting, match="could not be made ready") as refused:
        init(f"{server.address('nobody', 'postgres')} password={SECRET}")
    assert SECRET not in refused.value.message


@pytest.mark.parametrize("kind", SERVERS)
def test_a_newer_and_a_changed_schema_are_refused(kind: str) -> None:
    own, app = fresh(kind)
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute("INSERT INTO kira.schema_steps VALUES (9999, 'later', 'x', 1)")
        with pytest.raises(WrongSetting, match="newer Kira"):
            init(own)
        assert "newer Kira" in refusal(PostgresConfig(app))
        newest = max(step.number for step in steps())
        connection.execute("UPDATE kira.schema_steps SET since = %s WHERE number = 9999", (newest + 1,))
        assert "newer Kira" in refusal(PostgresConfig(app))
        connection.execute("UPDATE kira.schema_steps SET since = %s WHERE number = 9999", (newest,))
        assert init(own).applied == []
        check(PostgresConfig(app))
        connection.execute("DELETE FROM kira.schema_steps WHERE number = 9999")
        connection.execute("UPDATE kira.schema_steps SET sha256 = 'other'")
        with pytest.raises(WrongSetting, match="changed after"):
            init(own)
        assert "changed after" in refusal(PostgresConfig(app))


@pytest.mark.parametrize("kind", SERVERS)
def test_a_step_that_fails_leaves_what_was_there(kind: str, tmp_path: Path) -> None:
    own, app = fresh(kind)
    for step in STEPS.glob("*.sql"):
        (tmp_path / step.name).write_text(step.read_text())
    (tmp_path / "0009_wrong.sql").write_text("CREATE TABLE more (id TEXT); SELECT nothing;")
    with (
        pytest.raises(WrongSetting, match=r"Step 9 \(wrong\)"),
        psycopg.connect(own) as connection,
        connection.transaction(),
    ):
        connection.execute("SET LOCAL search_path = kira")
        bring_up_to_date(connection, tmp_path)
    with psycopg.connect(own) as connection:
        assert connection.execute("SELECT to_regclass('kira.more')").fetchone() == (None,)
    check(PostgresConfig(app))


@pytest.mark.parametrize("kind", SERVERS)
def test_what_is_above_row_security_is_refused(kind: str) -> None:
    own, app = fresh(kind)
    check(PostgresConfig(app))
    assert "above row security" in refusal(of(own))
    with psycopg.connect(own, autocommit=True) as connection:
        for role, rights in (("above", "BYPASSRLS"), ("owning", "IN ROLE kira_owner"), ("stranger", "")):
            connection.execute(f"CREATE ROLE {role}_of_test LOGIN {rights}".encode())
            told = refusal(of(own, user=f"{role}_of_test"))
            connection.execute(f"DROP ROLE {role}_of_test".encode())
            assert ("not made ready" if role == "stranger" else "above row security") in told
            assert INIT in told


@pytest.mark.parametrize("kind", SERVERS)
def test_a_missing_or_old_schema_is_refused(kind: str) -> None:
    own, app = fresh(kind)
    bare, name = empty(kind)
    assert INIT in refusal(of(app, dbname=name))
    assert "does not exist" in refusal(of(bare, dbname="nowhere", user="kira_app"))
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute("DELETE FROM kira.schema_steps")
    assert f"lacks step 1 of the schema. {INIT}" in refusal(PostgresConfig(app))


def test_a_server_that_does_not_let_in_or_answer_is_told(server: Embedded, tmp_path: Path) -> None:
    told = refusal(of(server.address("boss"), password=SECRET + "x"))
    assert "password authentication failed" in told
    assert "Check that" in told
    for host in (str(tmp_path), "127.0.0.1"):
        told = refusal(of(server.address("boss"), host=host, port=9, password=SECRET))
        assert told.startswith("KIRA_DATABASE cannot be used: ")
        assert "Check that PostgreSQL runs" in told
    assert "Check that" in refusal(replace(PostgresConfig("x"), address=f"no address password={SECRET}"))
