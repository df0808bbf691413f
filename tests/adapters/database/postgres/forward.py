"""What the version before needs of a schema: whatever it uses is still there, and nothing more is asked of it.

`python -m tests.adapters.database.postgres.forward` adds today's statements to the record of the newest step.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from kira.adapters.database.catalogue import load
from kira.adapters.database.postgres.steps import steps
from kira.adapters.database.postgres.texts import prepared
from kira.adapters.database.steps import SchemaStep

RECORD = Path(__file__).parents[1] / "data" / "statements.json"
"""For the newest step and all that it leaves working: every statement that any Kira ran whose newest step it was."""
Connection = psycopg.Connection[tuple[Any, ...]]
Record = dict[str, dict[str, dict[str, str]]]

_PROMISES = """
SELECT format('the column %s.%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'kira'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('the function %s(%s) %s', proname, pg_get_function_identity_arguments(oid), pg_get_function_result(oid))
FROM pg_proc WHERE pronamespace = 'kira'::regnamespace
UNION ALL
SELECT format('the trigger %s of %s', t.tgname, c.relname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'kira'::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT format('the policy %s of %s for %s', policyname, tablename, roles) FROM pg_policies WHERE schemaname = 'kira'
UNION ALL
SELECT format('the right of %s to %s %s', grantee, privilege_type, table_name)
FROM information_schema.role_table_grants WHERE table_schema = 'kira'
"""
_COLUMNS_THERE = """
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'kira'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
_DEMANDS = """
SELECT c.relname, ARRAY[a.attname::text], format('a value in %s, which has no default', a.attname), true
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'kira'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
UNION ALL
SELECT c.relname, ARRAY(
    SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)),
  pg_get_constraintdef(k.oid), false
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relnamespace = 'kira'::regnamespace AND k.contype IN ('c', 'f', 'x')
UNION ALL
SELECT c.relname, ARRAY(
    SELECT a.attname::text FROM pg_attribute a
    WHERE a.attrelid = c.oid AND (a.attnum = ANY (i.indkey) OR 0 = ANY (i.indkey))),
  regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX \\S+ ON ', ' '), false
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'kira'::regnamespace AND i.indisunique
"""


@dataclass(frozen=True)
class Demand:
    """What a table asks of every row that is written."""

    table: str
    columns: tuple[str, ...] = field(compare=False)
    text: str
    is_of_any_column: bool


@dataclass(frozen=True)
class Shape:
    """What a schema gives to whoever uses it, and what it asks."""

    promises: frozenset[str]
    columns: frozenset[tuple[str, str]]
    demands: frozenset[Demand]

    @classmethod
    def of(cls, connection: Connection) -> Shape:
        """Read it."""
        promises = frozenset(text for (text,) in connection.execute(_PROMISES.encode()))
        demands = frozenset(
            Demand(table, tuple(sorted(columns)), text, is_of_any)
            for table, columns, text, is_of_any in connection.execute(_DEMANDS.encode())
        )
        return cls(promises, frozenset(connection.execute(_COLUMNS_THERE.encode()).fetchall()), demands)

    def harms(self, after: Shape) -> list[str]:
        """Say what who knows this shape would miss or be asked in `after`.

        A demand of new columns only is none for who does not name them; a changed one may be wider or narrower, so it
        takes two steps: one that drops it, and the next that makes it anew.
        """
        missed = [f"{each} is gone" for each in self.promises - after.promises]
        tables = {table for table, _ in self.columns}
        asked = [
            f"{each.table} asks {each.text}"
            for each in after.demands - self.demands
            if each.table in tables
            and (each.is_of_any_column or {(each.table, name) for name in each.columns} & self.columns)
        ]
        return sorted(missed + asked)


def harms(connection: Connection, statements: dict[str, dict[str, str]]) -> list[str]:
    """Say which of `statements`, by their ways, the schema of `connection` does not take; nothing is run."""
    found = []
    for way, begin, role in (
        ("tenant", "SELECT kira.begin_as('somebody', true)", "kira_app"),
        ("system", "SELECT kira.begin_across(true)", "kira_worker"),
    ):
        for sql in statements[way].values():
            try:
                with connection.transaction():
                    connection.execute("SET LOCAL search_path = kira")
                    connection.execute(begin.encode())
                    connection.execute(f"SET LOCAL ROLE {role}".encode())
                    # Prepared, as what comes again would be, it would ask for values.
                    connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}".encode(), prepare=False)
            except psycopg.Error as error:
                found.append(f"{sql}: {error}")
    return found


def record() -> Record:
    """Return what is recorded."""
    found: Record = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def today() -> dict[str, dict[str, str]]:
    """Return the statements of this Kira as the server gets them, by their ways."""
    catalogue = load("postgres")
    texts = {
        way: [prepared(each, must=False).sql.decode() for each in each_way.values()]
        for way, each_way in (("tenant", catalogue.tenant), ("system", catalogue.system))
    }
    return {way: {hashlib.sha256(sql.encode()).hexdigest()[:12]: sql for sql in each} for way, each in texts.items()}


def renewed(before: Record, newest: SchemaStep, now: dict[str, dict[str, str]]) -> Record:
    """Return the record with today's statements too; what the newest step leaves behind is forgotten."""
    kept = {number: each for number, each in before.items() if newest.since <= int(number) <= newest.number}
    own = kept.get(str(newest.number), {"tenant": {}, "system": {}})
    return {**kept, str(newest.number): {way: {**own[way], **now[way]} for way in own}}


if __name__ == "__main__":
    made = renewed(record(), steps()[-1], today())
    RECORD.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
