"""Whatever the prover accepts gives a user the same answers, whatever others have, and leaves theirs alone."""

from __future__ import annotations

import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from tests.adapters.database.mutants import mutant
from tests.adapters.database.test_prover import GOOD, HOSTILE, INDEX_GOOD, INDEX_HOSTILE

from kira.adapters.database.catalogue import FOLDER, read
from kira.testing.prover import schema_of
from kira.testing.scope import Unscoped, prove

SEED = 20_261_124
MUTANTS = 4_000
REFUSED_TRIED = 0.12
OPERATIONS_MAX = 300_000  # of SQLite's machine; a mutant may well recurse for ever
SCHEMA = schema_of()
ENDLESS = object()
TABLES = sorted(SCHEMA.tenant)
FILL = {"role": "user", "kind": "reply", "state": "done", "titled_by": "nobody", "theme": "dark", "settings": "{}"}


def _fill(connection: sqlite3.Connection, user_id: str, word: str, rows: int) -> None:
    for table in ("users", *(each for each in TABLES if each != "users")):
        columns = [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({table})")]
        single = table in ("users", "settings", "shares")
        for number in range(1 if single else rows):
            values = [_value(table, name, kind, user_id, word, number) for name, kind in columns]
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)


def _value(table: str, name: str, kind: str, user_id: str, word: str, number: int) -> object:
    if name == "user_id" or (table == "users" and name == "id"):
        return user_id
    if name == "parent_id":
        return None
    if name == "id" or name.endswith("_id") or (table == "limits" and name == "name"):
        return f"x{number}"
    if kind in ("INTEGER", "BIGINT"):
        return number + len(word) % 3
    return FILL.get(name, f"{word} {name} {number}")


class _Stop:
    """Ends a statement that goes on for more than OPERATIONS_MAX; counted, so that it is the same on every machine."""

    left = 0

    def __call__(self) -> bool:
        type(self).left -= 1_000
        return type(self).left < 0


@contextmanager
def _worlds() -> Iterator[list[sqlite3.Connection]]:
    """Give three databases: Anna has the same in all, Bela other texts, other numbers, or fewer rows."""
    steps = sorted((FOLDER / "schema" / "sqlite").glob("*.sql"))
    text = "\n".join(step.read_text(encoding="utf-8") for step in steps)
    worlds = []
    for word, rows in (("zebra", 3), ("okapi!", 3), ("quagga", 2)):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(text)
        connection.set_progress_handler(_Stop(), 1_000)
        _Stop.left = OPERATIONS_MAX
        _fill(connection, "B", word, rows)
        _fill(connection, "A", "apple", 3)
        worlds.append(connection)
    yield worlds
    for connection in worlds:
        connection.close()


def _of_bela(connection: sqlite3.Connection) -> list[object]:
    found: list[object] = []
    for table in TABLES:
        found += connection.execute(f"SELECT * FROM {table} WHERE {SCHEMA.tenant[table]} = 'B'").fetchall()
    return found


def _outcome(connection: sqlite3.Connection, sql: str) -> tuple[object, bool]:
    """Return what `sql` gives to A, and whether B has what B had; everything is undone."""
    names = set(re.findall(r":([a-z_]+)", sql))
    known = {"user_id": "A", "other": "B", "uid": "B", "q": "zebra OR apple OR okapi"}
    given: dict[str, object] = {name: known.get(name, "x2") for name in names}
    given |= dict.fromkeys(names & {"now", "step", "items", "interval", "tolerance"}, 2)
    _Stop.left = OPERATIONS_MAX
    before = _of_bela(connection)
    connection.execute("BEGIN")
    try:
        with closing(connection.execute(sql, given)) as cursor:
            told: object = sorted(map(repr, cursor.fetchmany(500)))
    except sqlite3.IntegrityError:
        told = "conflict"
    except sqlite3.Error:
        told = None if _Stop.left >= 0 else ENDLESS
    _Stop.left = OPERATIONS_MAX
    untouched = _of_bela(connection) == before
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    return told, untouched


def _leaks(worlds: list[sqlite3.Connection], sql: str) -> bool | None:
    """Say whether `sql` leaks; None when it does not run at all."""
    outcomes = [_outcome(world, sql) for world in worlds]
    if all(told is None for told, _ in outcomes) or any(told is ENDLESS for told, _ in outcomes):
        return None
    return any(told != outcomes[0][0] for told, _ in outcomes) or not all(untouched for _, untouched in outcomes)


def _corpus() -> list[exp.Expr]:
    statements = [statement.sql for statement in read(FOLDER / "queries", "sqlite").values()]
    trees: list[exp.Expr] = []
    for sql in (*statements, *GOOD, *HOSTILE, *INDEX_GOOD, *INDEX_HOSTILE):
        try:
            parsed = sqlglot.parse(sql, read="sqlite")
        except sqlglot.errors.SqlglotError:
            continue
        kinds = (exp.Select, exp.SetOperation, exp.Insert, exp.Update, exp.Delete)
        trees += [tree for tree in parsed if isinstance(tree, kinds)]
    return trees


def _is_proven(sql: str) -> bool:
    try:
        prove(sql, SCHEMA, "sqlite")
    except Unscoped:
        return False
    return True


def test_no_proven_mutant_leaks_and_refused_ones_do() -> None:
    chance, corpus, seen = random.Random(SEED), _corpus(), Counter[str]()
    tables = [*TABLES, "waiting", "attempts", "messages_fts", "invitations"]
    leaked = []
    with _worlds() as worlds:
        for _ in range(MUTANTS):
            sql = mutant(chance.choice(corpus), chance, corpus, tables).sql(dialect="sqlite")
            proven = _is_proven(sql)
            if not proven and chance.random() > REFUSED_TRIED:
                continue
            found = _leaks(worlds, sql)
            seen[f"{'proven' if proven else 'refused'} {found}"] += 1
            if proven and found:
                leaked.append(sql)
    assert leaked == []
    assert seen["proven False"] > 300, seen
    assert seen["refused True"] > 60, f"the oracle must see leaks where nothing was proven: {seen}"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT content FROM messages",
        "SELECT COUNT(*) FROM widgets",
        "SELECT id FROM conversations WHERE user_id = :user_id AND (SELECT COUNT(*) FROM runs) = 5",
        "UPDATE messages SET content = 'x'",
        "DELETE FROM conversations WHERE id = :id",
        "INSERT INTO limits (user_id, name, arrival) VALUES (:other, 'new', 1)",
        "SELECT rank FROM messages_fts WHERE messages_fts MATCH :q",
    ],
)
def test_the_oracle_sees_a_leak(sql: str) -> None:
    with _worlds() as worlds:
        assert _leaks(worlds, sql)
        assert _leaks(worlds, "SELECT content FROM messages WHERE user_id = :user_id") is False


def test_every_statement_of_the_package_runs_in_the_worlds(tmp_path: Path) -> None:
    with _worlds() as worlds:
        for name, statement in read(FOLDER / "queries", "sqlite").items():
            assert _leaks(worlds, statement.sql) is not True, name
