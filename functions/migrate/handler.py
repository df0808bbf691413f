"""Migrate: the schema of the database, during a deploy."""

from kira.cloud.migrating import migrate

handler = migrate()
