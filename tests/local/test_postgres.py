"""PostgreSQL as a home uses it: what the settings name is what is opened."""

from __future__ import annotations

import psycopg
import pytest
from tests.engines import fresh, standby

from kira.domain.errors import WrongSetting
from kira.local.postgres import open_postgres
from kira.local.settings import read


def urls() -> tuple[str, str]:
    """Return the addresses of a new database and of its replica, as settings have them."""
    given = psycopg.conninfo.conninfo_to_dict(fresh("postgres")[1])
    form = "postgresql://{user}@:{port}/{name}?host={host}"
    here = form.format(user=given["user"], port=given["port"], name=given["dbname"], host=given["host"])
    return here, here.replace(str(given["host"]), str(standby().socket_folder))


async def test_the_replica_of_the_settings_is_asked() -> None:
    here, there = urls()
    made = open_postgres(read(database=here, database_read=there, database_connections=3))
    replica = made.database.replica
    assert replica is not None
    assert (replica.config.address, replica.config.connections) == (there, 3)
    while not replica.is_fit():
        await replica.look()
    await made.database.close()


async def test_there_is_no_replica_unless_it_is_named() -> None:
    made = open_postgres(read(database=urls()[0]))
    assert made.database.replica is None
    await made.database.close()


def test_a_replica_with_the_wrong_role_stops_the_start() -> None:
    superuser = f"postgresql://postgres@:5432/postgres?host={standby().socket_folder}"
    with pytest.raises(WrongSetting, match="KIRA_DATABASE_READ is above row security"):
        open_postgres(read(database=urls()[0], database_read=superuser))
