"""The prover: shows for every tenant statement that it stays within one user, and writes the proofs down.

`python -m kira.testing.prover` proves the statements of the package in both dialects and rewrites `proofs.json`.
At run time a tenant statement whose text is not the proven one is refused (adapters/database/catalogue.py).
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from kira.adapters.database.catalogue import FOLDER, read
from kira.testing.scope import Schema, Unscoped, prove

DIALECTS = ("sqlite", "postgres")
PROOFS = FOLDER / "proofs.json"


def schema_of(folder: Path = FOLDER) -> Schema:
    """Return which tables belong to users, as SQLite itself understands the steps of the schema in `folder`.

    Those are `users`, and every table with a column `user_id`; a view belongs to nobody.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        for path in sorted((folder / "schema" / "sqlite").glob("*.sql")):
            connection.executescript(path.read_text(encoding="utf-8"))
        kinds = dict(connection.execute("SELECT name, type FROM sqlite_master").fetchall())
        tenant = {"users": "id"}
        for name in sorted(name for name, kind in kinds.items() if kind == "table"):
            columns = {row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))}
            if "user_id" in columns:
                tenant[name] = "user_id"
    return Schema(tenant, {"messages_fts": "messages"}, frozenset(map(str.lower, kinds)))


def proofs(folder: Path = FOLDER) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Return the proofs by dialect and name, and a sentence for every statement that was refused."""
    schema = schema_of()
    found: dict[str, dict[str, object]] = {}
    refused = []
    for dialect in DIALECTS:
        found[dialect] = {}
        for name, statement in read(folder / "queries", dialect).items():
            try:
                proof = prove(statement.sql, schema, dialect)
            except Unscoped as error:
                refused.append(f"{dialect} {name}: {error}")
                continue
            found[dialect][name] = {
                "sha256": statement.digest,
                "tables": sorted(proof.tables),
                "target": proof.target,
            }
    return found, refused


def text_of(found: dict[str, dict[str, object]]) -> str:
    """Return the proofs as they stand in `proofs.json`."""
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    written, wrong = proofs()
    PROOFS.write_text(text_of(written), encoding="utf-8")
    sys.stdout.write("\n".join([*wrong, f"{sum(map(len, written.values()))} proofs\n"]))
    sys.exit(bool(wrong))
