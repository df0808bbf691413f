"""One connection opened: with a password that may have been changed meanwhile, to a server that may have to wake up."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg

from kira.adapters.database.postgres.config import PostgresConfig
from kira.adapters.database.postgres.exchange import Connection

PAUSE_SECONDS = 0.5
"""How often is knocked at a server that sleeps."""
REFUSED = "authentication failed"
"""What PostgreSQL says of a wrong password, and Aurora of a token; the library has no code for it."""


def opened_by(config: PostgresConfig) -> type[Connection]:
    """Return the class whose `connect` opens a connection as `config` says."""
    if config.sign_in is None and not config.wake_s:
        return Connection

    class Opened(Connection):
        """A connection that was knocked for."""

        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            """Open one; raises psycopg.OperationalError when the server does not wake up in time."""
            ends = time.monotonic() + config.wake_s
            while True:
                try:
                    return await _signed_in(super().connect, config, conninfo, kwargs)
                except psycopg.OperationalError as error:
                    if time.monotonic() > ends or not _may_wake(str(error)):
                        raise
                await asyncio.sleep(PAUSE_SECONDS)

    return Opened


async def _signed_in(connect: Any, config: PostgresConfig, conninfo: str, kwargs: dict[str, Any]) -> Any:
    if config.sign_in is None:
        return await connect(conninfo, **kwargs)
    try:
        return await connect(conninfo, **kwargs, password=await config.sign_in.password())
    except psycopg.OperationalError as error:
        if REFUSED not in str(error):
            raise
    return await connect(conninfo, **kwargs, password=await config.sign_in.password(refused=True))


def _may_wake(said: str) -> bool:
    """Say whether waiting may help: a server that answers with a refusal is awake, unless it says that it starts."""
    return "FATAL" not in said or "starting up" in said
