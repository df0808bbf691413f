"""Every statement of the catalogues is one that the server takes, with the types that its parameters are given."""

from __future__ import annotations

import psycopg
import pytest
from tests.engines import SERVERS, fresh

from kira.adapters.database.catalogue import Catalogue, load
from kira.adapters.database.postgres.texts import NUMBERS, prepared


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load("postgres")


@pytest.mark.parametrize("kind", SERVERS)
def test_the_server_prepares_every_statement(catalogue: Catalogue, kind: str) -> None:
    wrong = {}
    with psycopg.connect(fresh(kind)[0], autocommit=True) as connection:
        connection.execute("SET search_path = kira")
        for statement in (*catalogue.tenant.values(), *catalogue.system.values()):
            for must in (False, True):
                sql = prepared(statement, must=must).sql
                try:
                    connection.execute(b"PREPARE one AS " + sql)
                    connection.execute("DEALLOCATE one")
                except psycopg.Error as error:
                    wrong[statement.name, must] = str(error)
    assert wrong == {}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_wrong_type_is_found(catalogue: Catalogue, kind: str) -> None:
    sql = prepared(catalogue.tenant["conversations.page"], must=False).sql.replace(b"::bigint", b"::text")
    with psycopg.connect(fresh(kind)[0]) as connection, pytest.raises(psycopg.Error):
        connection.execute("SET search_path = kira")
        connection.execute(b"PREPARE one AS " + sql)


def test_every_number_is_a_parameter_of_some_statement(catalogue: Catalogue) -> None:
    statements = (*catalogue.tenant.values(), *catalogue.system.values())
    assert NUMBERS - {name for each in statements for name in prepared(each, must=False).names} == set()
