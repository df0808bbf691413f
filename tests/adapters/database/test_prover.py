"""The prover accepts what stays within one user and refuses everything else, in both dialects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kira.adapters.database.catalogue import FOLDER, read
from kira.testing.prover import DIALECTS, PROOFS, proofs, schema_of, text_of
from kira.testing.scope import Unscoped, prove

SCHEMA = schema_of()


def _lines(name: str) -> list[str]:
    """Return the statements of a file in `data`, one on each line."""
    return (Path(__file__).parent / "data" / f"{name}.txt").read_text(encoding="utf-8").splitlines()


GOOD = _lines("good")

HOSTILE = _lines("hostile")

INDEX_GOOD = _lines("index_good")
INDEX_HOSTILE = _lines("index_hostile")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("sql", GOOD)
def test_what_stays_within_one_user_is_proven(sql: str, dialect: str) -> None:
    proof = prove(sql, SCHEMA, dialect)
    assert proof.tables <= SCHEMA.tenant.keys()
    assert (proof.target is None) == sql.startswith(("select", "with recent", "with a", "with recursive"))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("sql", [*HOSTILE, *INDEX_HOSTILE])
def test_what_may_leave_it_is_refused(sql: str, dialect: str) -> None:
    with pytest.raises(Unscoped):
        prove(sql, SCHEMA, dialect)


@pytest.mark.parametrize("sql", INDEX_GOOD)
def test_an_index_is_reached_through_the_messages_of_the_user(sql: str) -> None:
    assert prove(sql, SCHEMA, "sqlite").tables == {"messages", "messages_fts"}


def test_there_are_enough_attacks() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


def test_a_table_with_a_user_is_a_tenant_table_and_nothing_else_is() -> None:
    assert SCHEMA.tenant["users"] == "id"
    assert SCHEMA.tenant["messages"] == "user_id"
    assert not SCHEMA.tenant.keys() & {"waiting", "attempts", "invitations", "findings", "messages_fts"}
    assert {"waiting", "messages_fts_data", "messages_indexed", "attempts"} <= SCHEMA.taken


def test_every_statement_of_the_package_is_proven_and_the_proofs_are_fresh() -> None:
    found, refused = proofs()
    assert refused == []
    assert PROOFS.read_text(encoding="utf-8") == text_of(found), "run `python -m kira.testing.prover`"
    assert set(found["sqlite"]) >= set(read(FOLDER / "queries", "postgres"))
    assert set(json.loads(text_of(found))) == set(DIALECTS)
