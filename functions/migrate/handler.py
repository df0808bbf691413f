"""Migrate: the schema of the database, during a deploy."""

from kira.cloud.loading import loading

with loading():
    from kira.cloud.migrating import migrate

handler = migrate()
