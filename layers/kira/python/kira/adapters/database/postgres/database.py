"""The database of a PostgreSQL server whose roles and schema `kira db init` has made."""

from __future__ import annotations

import time

from kira.adapters.database.catalogue import Catalogue, load
from kira.adapters.database.postgres import tsquery
from kira.adapters.database.postgres.config import PostgresConfig, ReplicaConfig
from kira.adapters.database.postgres.looking import check, look
from kira.adapters.database.postgres.pool import Pool
from kira.adapters.database.postgres.replica import Replica
from kira.adapters.database.postgres.ways import PostgresStatements
from kira.domain.search import Query
from kira.ports.database import Statements

CLOCK_LOOKS = 3


def create_database(
    config: PostgresConfig, catalogue: Catalogue | None = None, *, replica: ReplicaConfig | None = None
) -> PostgresDatabase:
    """Look whether the server of `config` is fit for this Kira, and return the database.

    A `replica` may be away: then the server of `config` answers everything until it is back.
    Raises WrongSetting when the server cannot be reached, or either lets this role past row security or has another
    schema, and UnprovenStatement when a tenant statement of `catalogue` (default: the package's) has no proof.
    """
    catalogue = catalogue or load("postgres")
    check(config)
    database = PostgresDatabase(config, catalogue, replica)
    if database.replica is not None:
        database.replica.check()
    return database


def open_asleep(config: PostgresConfig, catalogue: Catalogue | None = None) -> PostgresDatabase:
    """Return the database on a server that may sleep: it is reached, and looked at as above, when it is first used."""
    return PostgresDatabase(config, catalogue or load("postgres"), pool=Pool(config, look))


class PostgresDatabase:
    """Keeps the Database promise with a pool of connections."""

    def __init__(
        self,
        config: PostgresConfig,
        catalogue: Catalogue,
        replica: ReplicaConfig | None = None,
        *,
        pool: Pool | None = None,
    ) -> None:
        """Connect on first use."""
        self.catalogue = catalogue
        self.pool = pool or Pool(config)
        self._system = PostgresStatements(self.pool, catalogue, None)
        self.replica = Replica(replica, self._system) if replica else None

    def of(self, user_id: str) -> Statements:
        """Return the way in that sees only `user_id`."""
        return PostgresStatements(self.pool, self.catalogue, user_id, self.replica)

    @property
    def system(self) -> Statements:
        """The way in across users."""
        return self._system

    @property
    def executed(self) -> int:
        """How many statements were run since the start."""
        return self.pool.executed + (self.replica.pool.executed if self.replica else 0)

    def match(self, query: Query, user_id: str) -> str:  # noqa: ARG002 - the server knows whose transaction it is
        """Return the `tsquery` of `query`."""
        return tsquery.match(query)

    async def ahead(self) -> int:
        """Return how far the server's clock is before this computer's, in microseconds: the best of a few looks.

        Half of a round trip is the most by which one look can be wrong (Cristian, 1989).
        """
        looks = []
        for _ in range(CLOCK_LOOKS):
            began = time.time_ns() // 1000
            rows = await self._system.query("clock.read")
            ended = time.time_ns() // 1000
            looks.append((ended - began, int(rows[0]["moment"]) - (began + ended) // 2))
        width, ahead = min(looks)
        return ahead if abs(ahead) > width else 0  # what cannot be told from none is none

    async def close(self) -> None:
        """Finish what runs and close."""
        if self.replica is not None:
            await self.replica.close()
        await self.pool.close()
