"""What a PostgreSQL does without while it is filled, remembered in it until it is made again."""

from __future__ import annotations

from dataclasses import dataclass

from kira.adapters.database.moving.postgres_reader import Connection
from kira.adapters.database.postgres.config import SCHEMA
from kira.adapters.database.unfinished import UNFINISHED

# In this order they can be made again: a reference needs the key that it refers to.
_FOUND = f"""
SELECT 1, t.relname || ' ' || c.conname, format('ALTER TABLE %I DROP CONSTRAINT %I', t.relname, c.conname),
  format('ALTER TABLE %I ADD CONSTRAINT %I %s', t.relname, c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE c.connamespace = '{SCHEMA}'::regnamespace AND c.contype IN ('p', 'u') AND t.relname <> '{UNFINISHED}'
UNION ALL
SELECT 2, i.relname, format('DROP INDEX %I', i.relname), pg_get_indexdef(i.oid)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE i.relnamespace = '{SCHEMA}'::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.oid)
UNION ALL
SELECT 3, t.relname || ' ' || c.conname, format('ALTER TABLE %I DROP CONSTRAINT %I', t.relname, c.conname),
  format('ALTER TABLE %I ADD CONSTRAINT %I %s', t.relname, c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE c.connamespace = '{SCHEMA}'::regnamespace AND c.contype = 'f'
UNION ALL
SELECT 4, t.relname || ' ' || g.tgname, format('ALTER TABLE %I DISABLE TRIGGER %I', t.relname, g.tgname),
  format('ALTER TABLE %I ENABLE TRIGGER %I', t.relname, g.tgname)
FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
WHERE t.relnamespace = '{SCHEMA}'::regnamespace AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 2 = 0
UNION ALL
SELECT 5, t.relname, format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', t.relname),
  format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t.relname)
FROM pg_class t WHERE t.relnamespace = '{SCHEMA}'::regnamespace AND t.relforcerowsecurity
ORDER BY 1 DESC
"""  # noqa: S608 - constants
_PREFIX = "later"


@dataclass(frozen=True, slots=True)
class Postponed:
    """One change that is still to be made."""

    part: str
    name: str
    ddl: str
    is_index: bool


def put_off(connection: Connection) -> None:
    """Drop keys, indexes and references, and hold triggers and row security off; call it in a transaction.

    Triggers that make a row what it has to be stay: a trigger behind the row only tells others of it.
    """
    for order, name, drop, ddl in connection.execute(_FOUND).fetchall():
        connection.execute(drop)
        connection.execute(
            f"INSERT INTO {UNFINISHED} (part, state) VALUES (%s, %s) ON CONFLICT (part) DO NOTHING",  # noqa: S608
            (f"{_PREFIX} {order} {name}", ddl),
        )


def still_to_do(connection: Connection) -> list[Postponed]:
    """Return what was put off and not made again yet, in the order in which it can be made."""
    query = f"SELECT part, state FROM {UNFINISHED} WHERE part LIKE '{_PREFIX} %' ORDER BY part"  # noqa: S608
    return [
        Postponed(part, part.split(" ", 2)[2], ddl, part.split(" ")[1] in "123")
        for part, ddl in connection.execute(query).fetchall()
    ]


def make(connection: Connection, item: Postponed) -> None:
    """Make `item` again and forget it, both or neither."""
    with connection.transaction():
        connection.execute(item.ddl)
        connection.execute(f"DELETE FROM {UNFINISHED} WHERE part = %s", (item.part,))  # noqa: S608
