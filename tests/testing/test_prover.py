"""The prover refuses every statement that could leave its user, in both dialects."""

from __future__ import annotations

from pathlib import Path

import pytest

from kira.testing.prover import schema_of
from kira.testing.scope import Unscoped, prove

HOSTILE = Path(__file__).with_name("hostile.sql").read_text(encoding="utf-8").splitlines()
SCHEMA = schema_of()

HARMLESS = (
    "SELECT m.id FROM messages m WHERE m.user_id = :user_id ORDER BY m.id DESC LIMIT 50",
    "SELECT m.id FROM messages m JOIN conversations c ON c.id = m.conversation_id AND c.user_id = m.user_id "
    "WHERE c.user_id = :user_id",
    "SELECT m.id FROM messages m LEFT JOIN runs r ON r.id = m.run_id AND r.user_id = :user_id "
    "WHERE m.user_id = :user_id",
    "WITH recent AS (SELECT m.id FROM messages m WHERE m.user_id = :user_id) SELECT COUNT(*) AS found FROM recent",
    "DELETE FROM messages WHERE user_id = :user_id AND id = :id",
    "SELECT u.name FROM users u WHERE u.id = :user_id",
)


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
@pytest.mark.parametrize("sql", HOSTILE)
def test_a_hostile_statement_is_refused(sql: str, dialect: str) -> None:
    with pytest.raises(Unscoped):
        prove(sql, SCHEMA, dialect)


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
@pytest.mark.parametrize("sql", HARMLESS)
def test_a_statement_within_one_user_is_proven(sql: str, dialect: str) -> None:
    assert prove(sql, SCHEMA, dialect).tables


def test_there_are_at_least_sixty_hostile_statements() -> None:
    assert len(set(HOSTILE)) >= 60
