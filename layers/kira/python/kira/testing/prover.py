"""The prover: shows for every tenant statement that it stays within one user, and writes the proofs down.

`python -m kira.testing.prover` proves the statements of the package in both dialects and rewrites `proofs.json`.
At run time a tenant statement whose text is not the proven one is refused (adapters/database/catalogue.py).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from kira.adapters.database.catalogue import FOLDER, read
from kira.testing.scope import Schema, Unscoped, prove

DIALECTS = ("sqlite", "postgres")
PROOFS = FOLDER / "proofs.json"


def schema_of(folder: Path = FOLDER) -> Schema:
    """Return which tables are tenant tables, read from the steps of the schema: those with a `user_id` column."""
    tenant, shared = {"users": "id"}, set()
    for path in sorted((folder / "schema" / "sqlite").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", text, re.DOTALL):
            if re.search(r"^\s*user_id ", body, re.MULTILINE):
                tenant[name] = "user_id"
            elif name != "users":
                shared.add(name)
        for name in re.findall(r"CREATE VIEW (\w+)", text):
            tenant[name] = "user_id"
    return Schema(tenant, frozenset(shared), {"messages_fts": ("rowid", "messages", "rowid")})


def proofs(folder: Path = FOLDER) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Return the proofs by dialect and name, and a sentence for every statement that was refused."""
    schema = schema_of(folder)
    found: dict[str, dict[str, object]] = {}
    refused = []
    for dialect in DIALECTS:
        found[dialect] = {}
        for name, statement in read(folder / "queries", dialect).items():
            try:
                tables = prove(statement.sql, schema, dialect)
            except Unscoped as error:
                refused.append(f"{dialect} {name}: {error}")
                continue
            found[dialect][name] = {"sha256": statement.digest, "tables": sorted(tables)}
    return found, refused


def text_of(found: dict[str, dict[str, object]]) -> str:
    """Return the proofs as they stand in `proofs.json`."""
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    written, wrong = proofs()
    PROOFS.write_text(text_of(written), encoding="utf-8")
    print("\n".join([*wrong, f"{sum(map(len, written.values()))} proofs"]))
    sys.exit(bool(wrong))
