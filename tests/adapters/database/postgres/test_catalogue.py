"""Every table of users lies behind row security, and nobody may do more than is meant: told by the server itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from tests.engines import SERVERS, fresh

from kira.adapters.database.catalogue import FOLDER

Connection = psycopg.Connection[tuple[Any, ...]]

OWNER, DML = "kira_owner", {"SELECT", "INSERT", "UPDATE", "DELETE"}
TENANT = {"users", "sessions", "settings", "conversations", "messages", "runs", "shares", "limits", "widgets"} | {
    "run_events",
    "seats",
}
GRANTS = {
    "kira_app": {**dict.fromkeys(TENANT - {"run_events"}, DML), "schema_steps": {"SELECT"}},
    "kira_worker": {
        "users": DML - {"DELETE"},
        "sessions": DML,
        "runs": {"SELECT", "UPDATE"},
        "shares": {"SELECT"},
        "waiting": {"SELECT"},
        "run_events": DML - {"UPDATE"},
        **dict.fromkeys(("invitations", "attempts", "findings", "workers", "marks"), DML),
    },
    "kira_search": {"messages": {"SELECT"}, "conversations": {"SELECT"}},
}
ACROSS = {(table, "kira_worker") for table in ("users", "sessions", "runs", "shares", "run_events")}
SEARCH = {("messages", "kira_search"), ("conversations", "kira_search")}
"""Who may see all rows of which table, beside the tenant policy."""


@pytest.fixture(params=SERVERS)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    with psycopg.connect(fresh(request.param)[0], autocommit=True) as connection:
        connection.execute("SET search_path = kira")
        yield connection


def faults(connection: Connection) -> list[str]:
    """Return a sentence for everything that is not as it must be."""
    return [
        *_unprotected(connection),
        *_policies(connection),
        *_grants(connection),
        *_references(connection),
        *_views(connection),
        *_functions(connection),
        *_owners(connection),
    ]


def _unprotected(connection: Connection) -> Iterator[str]:
    rows = connection.execute("""
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c
        WHERE c.relnamespace = 'kira'::regnamespace AND c.relkind IN ('r', 'p', 'f', 'm') AND (c.relname = 'users'
          OR EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_id'))""")
    found: dict[str, bool] = dict(rows.fetchall())
    yield from (f"{table} has no forced row security" for table, is_safe in found.items() if not is_safe)
    yield from (f"{table} is not a table of users" for table in TENANT ^ set(found))


def _policies(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        "SELECT tablename, policyname, permissive, roles::text[], cmd, qual, with_check FROM pg_policies "
        "WHERE schemaname = 'kira'"
    ).fetchall()
    for table, name, permissive, roles, command, using, check in rows:
        if name != "tenant":
            if {(table, role) for role in roles} - ACROSS - SEARCH:
                yield f"{table} has a policy {name} for {roles}"
            continue
        owner = "id" if table == "users" else "user_id"
        # A sub-select is run once for each statement, and the strict function in it raises where nobody is named.
        wanted = f"({owner} = ( SELECT user_id() AS user_id))"
        if (permissive, roles, command, using, check) != ("PERMISSIVE", ["kira_app"], "ALL", wanted, wanted):
            yield f"{table} has another tenant policy: {using} {check}"
    missing = TENANT - {table for table, name, *_ in rows if name == "tenant"}
    yield from (f"{table} has no tenant policy" for table in sorted(missing))


def _grants(connection: Connection) -> Iterator[str]:
    rows = connection.execute("""
        SELECT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, c.relname, g.privilege_type
        FROM pg_class c, aclexplode(c.relacl) g
        WHERE c.relnamespace = 'kira'::regnamespace AND g.grantee <> c.relowner
        UNION ALL SELECT g.grantee::regrole::text, a.attrelid::regclass || '.' || a.attname, g.privilege_type
        FROM pg_attribute a, aclexplode(a.attacl) g WHERE a.attrelid IN (
          SELECT oid FROM pg_class WHERE relnamespace = 'kira'::regnamespace)
        UNION ALL SELECT 'PUBLIC', 'schema ' || nspname, g.privilege_type FROM pg_namespace, aclexplode(nspacl) g
        WHERE g.grantee = 0 AND (nspname = 'kira' OR g.privilege_type = 'CREATE')
        UNION ALL SELECT 'PUBLIC', 'database', g.privilege_type FROM pg_database,
          aclexplode(COALESCE(datacl, acldefault('d', datdba))) g
        WHERE datname = current_database() AND g.grantee = 0 AND g.privilege_type <> 'CONNECT'""").fetchall()
    wanted = {(role, table, each) for role, tables in GRANTS.items() for table, all_ in tables.items() for each in all_}
    yield from (f"{role} may {right} {table}, or should" for role, table, right in sorted(wanted ^ set(rows)))


def _references(connection: Connection) -> Iterator[str]:
    rows = connection.execute("""
        SELECT f.conrelid::regclass::text, f.confrelid::regclass::text,
          ARRAY(SELECT attname::text FROM unnest(f.conkey) WITH ORDINALITY k (n, o)
            JOIN pg_attribute ON attrelid = f.conrelid AND attnum = n ORDER BY o),
          ARRAY(SELECT attname::text FROM unnest(f.confkey) WITH ORDINALITY k (n, o)
            JOIN pg_attribute ON attrelid = f.confrelid AND attnum = n ORDER BY o)
        FROM pg_constraint f WHERE f.contype = 'f' AND f.connamespace = 'kira'::regnamespace""").fetchall()
    assert len(rows) > 8
    for table, other, columns, others in rows:
        within = (columns[0], others[0]) == ("user_id", "id" if other == "users" else "user_id")
        if table in TENANT and not within:
            yield f"{table} refers to {other} by {columns}: foreign keys do not know row security"


def _views(connection: Connection) -> Iterator[str]:
    rows = connection.execute("""
        SELECT relname FROM pg_class WHERE relnamespace = 'kira'::regnamespace AND relkind IN ('v', 'm')
          AND NOT COALESCE(reloptions, '{}') @> '{security_invoker=true}'""")
    yield from (f"the view {name} reads with its owner's rights" for (name,) in rows)


def _functions(connection: Connection) -> Iterator[str]:
    rows = connection.execute("""
        SELECT proname, prosecdef, COALESCE(proconfig, '{}'), proowner::regrole::text,
          has_function_privilege('public', oid, 'EXECUTE')
        FROM pg_proc WHERE pronamespace = 'kira'::regnamespace""").fetchall()
    assert "messages_found" in {name for name, *_ in rows}
    for name, is_definer, settings, owner, is_public in rows:
        is_search = name == "messages_found"
        if is_definer != is_search or owner != ("kira_search" if is_search else OWNER):
            yield f"the function {name} runs as somebody else: {owner}"
        if is_search and (settings != ["search_path=kira", "plan_cache_mode=force_custom_plan"] or is_public):
            yield f"the function {name} can be led astray or called by all: {settings}"


def _owners(connection: Connection) -> Iterator[str]:
    rows = connection.execute("""
        SELECT relname, relowner::regrole::text FROM pg_class WHERE relnamespace = 'kira'::regnamespace
        UNION ALL SELECT nspname, nspowner::regrole::text FROM pg_namespace WHERE nspname = 'kira'""").fetchall()
    yield from (f"{name} belongs to {owner}" for name, owner in rows if owner != OWNER)
    owned = connection.execute("""
        SELECT refobjid::regrole::text, classid::regclass::text FROM pg_shdepend
        WHERE deptype = 'o' AND refobjid IN ('kira_app'::regrole, 'kira_worker'::regrole)
          AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))""")
    yield from (f"{role} owns something in {kind}" for role, kind in owned)
    roles = connection.execute("""
        SELECT r.rolname, r.rolcanlogin, r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb
            OR r.rolreplication,
          ARRAY(SELECT roleid::regrole::text FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1)
        FROM pg_roles r WHERE r.rolname IN ('kira_app', 'kira_worker', 'kira_search', 'kira_owner')""")
    wanted = {
        "kira_app": (True, False, ["kira_worker"]),
        "kira_worker": (False, False, []),
        "kira_search": (False, False, []),
        OWNER: (False, False, ["kira_search"]),
    }
    found = {name: tuple(rest) for name, *rest in roles}
    yield from (f"the role {name} is {found.get(name)}" for name in wanted if found.get(name) != wanted[name])


def test_a_new_database_has_no_fault(connection: Connection) -> None:
    assert faults(connection) == []


FAULTS = {
    "CREATE TABLE naked (user_id TEXT)": "naked has no forced row security",
    "CREATE TABLE half (user_id TEXT); ALTER TABLE half ENABLE ROW LEVEL SECURITY": "half has no forced row security",
    "ALTER TABLE messages NO FORCE ROW LEVEL SECURITY": "messages has no forced row security",
    "DROP POLICY tenant ON widgets": "widgets has no tenant policy",
    "ALTER POLICY tenant ON widgets USING (true)": "widgets has another tenant policy",
    "ALTER POLICY tenant ON widgets USING (user_id = user_id())": "widgets has another tenant policy",
    "ALTER POLICY tenant ON widgets TO PUBLIC": "widgets has another tenant policy",
    "CREATE POLICY more ON messages TO kira_app USING (true)": "messages has a policy more",
    "GRANT SELECT ON messages TO kira_worker": "kira_worker may SELECT messages",
    "GRANT SELECT (content) ON messages TO kira_worker": "kira_worker may SELECT messages.content",
    "GRANT SELECT ON messages TO PUBLIC": "PUBLIC may SELECT messages",
    "GRANT TRUNCATE ON messages TO kira_app": "kira_app may TRUNCATE messages",
    "GRANT CREATE ON SCHEMA public TO PUBLIC": "PUBLIC may CREATE schema public",
    "ALTER TABLE runs ADD FOREIGN KEY (answer_id) REFERENCES users (id)": "runs refers to users by ['answer_id']",
    "ALTER VIEW waiting SET (security_invoker = false)": "the view waiting reads with its owner's rights",
    "ALTER FUNCTION must SECURITY DEFINER": "the function must runs as somebody else",
    "ALTER FUNCTION messages_found RESET ALL": "the function messages_found can be led astray",
    "GRANT EXECUTE ON FUNCTION messages_found TO PUBLIC": "the function messages_found can be led astray",
    "ALTER TABLE widgets OWNER TO kira_app": "widgets belongs to kira_app",
    "GRANT kira_owner TO kira_app": "the role kira_app is",
    "ALTER ROLE kira_app BYPASSRLS": "the role kira_app is",
}


def test_each_fault_is_found(connection: Connection) -> None:
    """The test above can fail: what would be wrong is made in a transaction and undone."""
    for sql, told in FAULTS.items():
        with connection.transaction(force_rollback=True):
            connection.execute(sql.encode())
            assert any(told in fault for fault in faults(connection)), sql


def test_sqlite_and_postgresql_have_the_same_tables_and_columns(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'kira'"
    )
    here = {(table, column) for table, column in rows if table != "schema_steps"}
    with closing(sqlite3.connect(":memory:")) as file:
        for path in sorted((FOLDER / "schema" / "sqlite").glob("*.sql")):
            file.executescript(path.read_text(encoding="utf-8"))
        there = set(
            file.execute(
                "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c "
                "WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'messages_fts%' AND t.name NOT LIKE 'sqlite_%'"
            )
        )
    assert here - there == {("messages", "words")}, "only the words are derived"
    assert there - here == set()
