"""The database as a PostgreSQL server: row security, one round trip for what decides nothing, a bounded pool."""

from kira.adapters.database.postgres.config import PostgresConfig, ReplicaConfig
from kira.adapters.database.postgres.database import PostgresDatabase, create_database, open_asleep

__all__ = ["PostgresConfig", "PostgresDatabase", "ReplicaConfig", "create_database", "open_asleep"]
