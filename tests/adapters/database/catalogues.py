"""Catalogues for tests: statements of the test's own, proven by the prover or with a proof that lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kira.adapters.database.catalogue import Catalogue, load, parse, read
from kira.testing.prover import proofs, text_of


def write(folder: Path, tenant: Mapping[str, str], system: Mapping[str, str] | None = None) -> Path:
    """Write statements into `queries/test.sql` and `system/test.sql` below `folder`, with what the prover finds."""
    for name, statements in (("queries", tenant), ("system", system or {})):
        (folder / name).mkdir(parents=True, exist_ok=True)
        text = "".join(f"-- {key} --\n-- For a test.\n{sql};\n\n" for key, sql in statements.items())
        assert len(list(parse(text))) == len(statements)
        (folder / name / "test.sql").write_text(text, encoding="utf-8")
    found, _ = proofs(folder)
    (folder / "proofs.json").write_text(text_of(found), encoding="utf-8")
    return folder


def forge(folder: Path, tables: Mapping[str, tuple[list[str], str | None]], dialect: str = "sqlite") -> Catalogue:
    """Return the catalogue of `folder` with proofs that name `tables` and target, whatever the statements do."""
    path = folder / "proofs.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    for name, statement in read(folder / "queries", dialect).items():
        lie = tables.get(name.partition(".")[2])
        if lie is not None:
            known[dialect][name] = {"sha256": statement.digest, "tables": lie[0], "target": lie[1]}
    path.write_text(json.dumps(known), encoding="utf-8")
    return load(dialect, folder)
