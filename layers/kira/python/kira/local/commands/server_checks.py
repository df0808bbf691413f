"""What the doctor looks at on a PostgreSQL server: the way in, role and schema, key, workers, wake-ups, replica."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from kira.adapters.clock.system import SystemClock
from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase, ReplicaConfig, create_database
from kira.adapters.database.postgres.listener import Listener
from kira.adapters.database.postgres.replica import Replica
from kira.adapters.database.postgres.steps import steps
from kira.adapters.database.postgres.ways import PostgresStatements
from kira.adapters.roster.table import TableRoster
from kira.adapters.vault.keyfile import FILE_NAME as KEY_FILE
from kira.adapters.vault.keyfile import open_vault
from kira.domain.errors import KiraError, WrongSetting
from kira.local.commands.findings import Finding, State
from kira.local.postgres import RUNS
from kira.local.settings import LocalSettings
from kira.local.terminal import counted
from kira.ports.engine import Fleet
from kira.services.installation import OTHER_KEY, is_other_key

CONNECTIONS_FULL_SHARE = 0.8
_CONNECTIONS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, count(*)
FROM pg_stat_activity WHERE backend_type = 'client backend'
"""


async def server(settings: LocalSettings) -> list[Finding]:
    """Look at the server of KIRA_DATABASE, without changing it."""
    config = PostgresConfig(settings.database, connections=1)
    try:
        database = create_database(config)
    except WrongSetting as error:
        return [Finding(State.WRONG, "database", error.message)]
    try:
        return [
            await _found(config, settings),
            *await _key(database, settings),
            await _accounts(database, settings),
            await _workers(database),
            await _wake_ups(settings),
            *await _replica(database, settings.database_read),
        ]
    except KiraError as error:
        return [Finding(State.WRONG, "database", error.message)]
    finally:
        await database.close()


async def _found(config: PostgresConfig, settings: LocalSettings) -> Finding:
    async with await psycopg.AsyncConnection.connect(config.address, **config.options) as connection:  # type: ignore[arg-type]
        version = connection.info.server_version // 10_000
        cursor = await connection.execute(_CONNECTIONS)
        most, used = await cursor.fetchone() or (0, 0)
    found = f"PostgreSQL {version}, schema step {steps()[-1].number}, {used} of {most} connections in use"
    if used > most * CONNECTIONS_FULL_SHARE:
        advice = "Lower KIRA_DATABASE_CONNECTIONS, raise max_connections, or put PgBouncer in front."
        return Finding(State.WARNING, "database", found, advice)
    return Finding(State.OK, "database", f"{found}; at most {settings.database_connections} from each process")


async def _key(database: PostgresDatabase, settings: LocalSettings) -> Sequence[Finding]:
    if settings.master_key is None and not (settings.data / KEY_FILE).exists():
        advice = "Give every host the same KIRA_MASTER_KEY."
        return [Finding(State.WARNING, "master key", "none: this host would make one of its own", advice)]
    try:
        vault = open_vault(settings.data, settings.master_key)
    except WrongSetting as error:
        return [Finding(State.WRONG, "master key", error.message)]
    if await is_other_key(database, vault):
        return [Finding(State.WRONG, "master key", OTHER_KEY)]
    where = "from KIRA_MASTER_KEY" if settings.master_key else str(settings.data / KEY_FILE)
    return [Finding(State.OK, "master key", f"{where}, the one that the database was begun with")]


async def _accounts(database: PostgresDatabase, settings: LocalSettings) -> Finding:
    users = await database.system.query("users.all", {"now": SystemClock().now()})
    count = sum(row["email"] is not None for row in users)
    return Finding(State.OK, "accounts", f"{settings.accounts.value} (KIRA_ACCOUNTS), {counted(count, 'user')}")


async def _workers(database: PostgresDatabase) -> Finding:
    roster = TableRoster(database, SystemClock(), "doctor")
    await roster.look()
    others = roster.others
    if not others:
        return Finding(State.WARNING, "workers", "none, so runs wait", "Start `kira worker` on a host with an Ollama.")
    fleet: Fleet = others[0].joined(others[1:])
    models = ", ".join(model.name for model in fleet.models if not model.demo) or "no model"
    found = f"{counted(len(others), 'worker')} with {counted(fleet.slots, 'slot')}; they serve {models}"
    return Finding(State.OK, "workers", found)


async def _wake_ups(settings: LocalSettings) -> Finding:
    listener = Listener(PostgresConfig(settings.database_direct or settings.database))
    listener.hear(RUNS, lambda _payload: None)
    try:
        await listener.start()
        hears = listener.hears
    finally:
        await listener.close()
    if hears:
        return Finding(State.OK, "wake-ups", "arrive")
    advice = "Behind a pooler give KIRA_DATABASE_DIRECT the address of PostgreSQL itself; until then Kira asks often."
    return Finding(State.WARNING, "wake-ups", "do not arrive", advice)


async def _replica(database: PostgresDatabase, address: str | None) -> Sequence[Finding]:
    if address is None:
        return []
    primary = PostgresStatements(database.pool, database.catalogue, None)
    replica = Replica(ReplicaConfig(address, connections=1), primary)
    began = time.monotonic()
    try:
        why = await replica.doubt()
    finally:
        await replica.close()
    if why is not None:
        return [Finding(State.WARNING, "replica", why, "Until it is fit, KIRA_DATABASE answers everything.")]
    behind = f"what was written arrived within {time.monotonic() - began:.1f} s"
    return [Finding(State.OK, "replica", f"answers lists, search and usage; {behind}")]
