"""PostgreSQL as a home uses it: a server that is named or embedded, its database, and its wake-ups."""

from __future__ import annotations

from dataclasses import dataclass

from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase, ReplicaConfig, create_database
from kira.adapters.database.postgres.config import APPLICATION, EMBEDDED_DATABASE
from kira.adapters.database.postgres.embedded import Embedded
from kira.adapters.database.postgres.init import init, make_database
from kira.adapters.database.postgres.listener import Ear, Listener
from kira.local.settings import LocalSettings
from kira.ports.queue import Queue
from kira.services.waiting import Line

RUNS, STREAM = "kira_runs", "kira_stream"
"""The channels on which the triggers of the schema and the stream's statement tell."""


@dataclass(slots=True)
class Postgres:
    """The server behind KIRA_DATABASE; `embedded` is the one that this process started."""

    database: PostgresDatabase
    listener: Listener
    news: Ear
    embedded: Embedded | None = None

    @property
    def hears(self) -> bool:
        """Say whether wake-ups arrive here."""
        return self.listener.hears

    async def listen(self, queue: Queue, line: Line, *, wakes: bool) -> None:
        """Look at `line` when another instance queued a run, and interrupt `queue` when one is to stop.

        A queued run `wakes` every worker at once, unless hints of their own tell one of them.
        """

        def told(payload: str) -> None:
            if payload != "stop":
                line.waiting = max(1, line.waiting)
                if wakes:
                    queue.wake()
            if payload != "queued":
                queue.interrupt()

        self.listener.hear(RUNS, told)
        await self.listener.start()

    async def close(self) -> None:
        """Stop listening, and stop the server if it is ours."""
        await self.listener.close()
        if self.embedded is not None:
            self.embedded.stop()


def open_postgres(settings: LocalSettings) -> Postgres:
    """Open the server of `settings`, starting the embedded one. Raises WrongSetting."""
    embedded = None
    address = settings.database
    if address == "embedded":
        embedded = Embedded(settings.data / "postgres")
        make_database(embedded.address(), EMBEDDED_DATABASE)
        init(embedded.address(database=EMBEDDED_DATABASE))
        address = embedded.address(APPLICATION, EMBEDDED_DATABASE)
    config = PostgresConfig(address, connections=settings.database_connections)
    read = settings.database_read
    replica = ReplicaConfig(read, connections=settings.database_connections) if read else None
    try:
        database = create_database(config, replica=replica)
    except BaseException:
        if embedded is not None:
            embedded.stop()
        raise
    direct = settings.database_direct if embedded is None else None
    listener = Listener(PostgresConfig(direct or address))
    return Postgres(database, listener, listener.ear(STREAM), embedded)
