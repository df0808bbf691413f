"""A primary and its replica, for each test a database of its own on them, and what Kira warns of."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest
from tests.adapters.database.pairs import ANNA, BELA, Pair, searching, settle
from tests.engines import fresh, standby


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    own, app = fresh("postgres")
    name = str(psycopg.conninfo.conninfo_to_dict(own)["dbname"])
    there = standby()
    made = Pair(name, searching(own), app, there.address(), there.address("kira_app", name))
    for user_id in (ANNA, BELA):
        settle(made, user_id)
    await made.catch_up()
    yield made
    await made.resume()
    for database in made.opened:
        await database.close()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    with caplog.at_level(logging.WARNING, logger="kira.database"):
        yield lambda: [
            told.getMessage()
            for told in caplog.records
            if told.name == "kira.database" and told.levelno == logging.WARNING
        ]
