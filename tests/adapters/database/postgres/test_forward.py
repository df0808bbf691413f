"""Every step of the schema leaves alone what the version before uses, so that both may run during a deploy."""

from __future__ import annotations

import psycopg
import pytest
from tests.adapters.database.postgres.forward import Connection, Shape, harms, record, renewed, today
from tests.engines import fresh

from kira.adapters.database.postgres.config import APPLICATION, OWNER, SCHEMA, SEARCH, WORKER
from kira.adapters.database.postgres.steps import steps

SERVER = "postgres16"
NEWEST = steps()[-1]
NOTHING = f"""
DROP SCHEMA {SCHEMA} CASCADE;
CREATE SCHEMA {SCHEMA} AUTHORIZATION {OWNER};
GRANT USAGE ON SCHEMA {SCHEMA} TO {APPLICATION}, {WORKER}, {SEARCH};
GRANT CREATE ON SCHEMA {SCHEMA} TO {SEARCH};
"""


def apply(connection: Connection, sql: str) -> None:
    """Apply a step as `init` does."""
    with connection.transaction():
        connection.execute(f"SET LOCAL ROLE {OWNER}".encode())
        connection.execute(f"SET LOCAL search_path = {SCHEMA}".encode())
        connection.execute(sql.encode())


def harms_of(connection: Connection, sql: str, statements: dict[str, dict[str, str]]) -> list[str]:
    """Say what a step does to the version before it."""
    before = Shape.of(connection)
    apply(connection, sql)
    return before.harms(Shape.of(connection)) + harms(connection, statements)


def test_steps_are_numbered_without_a_gap_and_each_says_that_the_version_before_goes_on() -> None:
    assert [step.number for step in steps()] == list(range(1, NEWEST.number + 1))
    assert [step.name for step in steps()[1:] if step.since >= step.number] == []


def test_the_newest_step_leaves_alone_what_the_versions_use_of_which_it_says_so() -> None:
    with psycopg.connect(fresh(SERVER)[0], autocommit=True) as connection:
        connection.execute(NOTHING.encode())
        for step in steps()[: NEWEST.since]:
            apply(connection, step.sql)
        before = Shape.of(connection)
        for step in steps()[NEWEST.since :]:
            apply(connection, step.sql)
        assert before.harms(Shape.of(connection)) == []
        for number, statements in record().items():
            assert harms(connection, statements) == [], f"statements of step {number}"


def test_the_record_has_the_statements_of_today_and_of_every_version_that_goes_on() -> None:
    command = "run `python -m tests.adapters.database.postgres.forward`"
    assert renewed(record(), NEWEST, today()) == record(), command
    assert record().keys() == {str(number) for number in range(NEWEST.since, NEWEST.number + 1)}
    assert all(statements[way] for statements in record().values() for way in ("tenant", "system"))


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE conversations ADD COLUMN note TEXT CHECK (note <> '')",
        "CREATE TABLE notes (user_id TEXT NOT NULL, id TEXT NOT NULL UNIQUE); SELECT protect('notes')",
        "CREATE INDEX more ON messages (created_at)",
        "ALTER TABLE runs DROP CONSTRAINT runs_kind_check",
    ],
)
def test_a_step_that_adds_or_eases_is_no_harm(sql: str) -> None:
    with psycopg.connect(fresh(SERVER)[0], autocommit=True) as connection:
        assert harms_of(connection, sql, today()) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("ALTER TABLE messages DROP COLUMN prompt_tokens", "column messages.prompt_tokens"),
        ("ALTER TABLE messages RENAME COLUMN content TO body", "column messages.content"),
        ("ALTER TABLE runs ALTER COLUMN prompt_tokens TYPE BIGINT", "runs.prompt_tokens integer is gone"),
        ("DROP TABLE findings", "column findings.server"),
        ("ALTER TABLE conversations ADD COLUMN space TEXT NOT NULL", "conversations asks a value in space"),
        ("ALTER TABLE conversations ALTER COLUMN titled_by DROP DEFAULT", "conversations asks a value in titled_by"),
        ("ALTER TABLE messages ALTER COLUMN model SET NOT NULL", "messages asks a value in model"),
        ("ALTER TABLE messages ADD CHECK (length(content) < 9)", "length(content) < 9"),
        ("ALTER TABLE settings ADD FOREIGN KEY (model) REFERENCES marks (name)", "FOREIGN KEY (model)"),
        ("CREATE UNIQUE INDEX once ON conversations (user_id, title)", "UNIQUE"),
        ("DROP FUNCTION messages_found", "function messages_found"),
        ("DROP TRIGGER runs_added ON runs", "trigger runs_added"),
        ("DROP POLICY across ON runs", "policy across of runs"),
        ("REVOKE UPDATE ON sessions FROM kira_worker", "right of kira_worker to UPDATE sessions"),
    ],
)
def test_a_step_that_takes_away_or_asks_more_is_found(sql: str, said: str) -> None:
    with psycopg.connect(fresh(SERVER)[0], autocommit=True) as connection:
        assert said in "\n".join(harms_of(connection, sql, {"tenant": {}, "system": {}}))


def test_a_statement_of_the_version_before_that_no_longer_goes_is_found() -> None:
    with psycopg.connect(fresh(SERVER)[0], autocommit=True) as connection:
        apply(
            connection, "ALTER TABLE messages RENAME COLUMN content TO body; REVOKE UPDATE ON sessions FROM kira_worker"
        )
        found = "\n".join(harms(connection, today()))
    assert 'column "content"' in found
    assert "permission denied for table sessions" in found
