"""Every statement is proven, named where it is used, and used where it is named."""

from __future__ import annotations

import re
from pathlib import Path

from kira.adapters.database.catalogue import FOLDER, load, read
from kira.testing.prover import PROOFS, proofs, text_of

PACKAGE = Path(__file__).parents[2] / "layers" / "kira" / "python" / "kira"


def names_used() -> set[str]:
    """Return every quoted `file.statement` of the package whose file exists."""
    files = {path.stem for path in FOLDER.rglob("*.sql") if "schema" not in path.parts}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for name in re.findall(r'"([a-z_]+\.[a-z_]+)"', path.read_text(encoding="utf-8")):
            if name.partition(".")[0] in files and not name.endswith(".md"):
                found.add(name)
    return found


def names_known() -> set[str]:
    both = [load(dialect) for dialect in ("sqlite", "postgres")]
    return {name for catalogue in both for name in (*catalogue.tenant, *catalogue.system)}


def test_every_used_name_is_a_statement() -> None:
    assert names_used() - names_known() == set()


def test_every_statement_is_used() -> None:
    assert names_known() - names_used() == set()


def test_no_name_is_both_a_tenant_and_a_system_statement() -> None:
    assert set(read(FOLDER / "queries", "sqlite")) & set(read(FOLDER / "system", "sqlite")) == set()


def test_every_tenant_statement_is_proven_in_both_dialects_and_the_proofs_are_of_today() -> None:
    found, refused = proofs()
    assert refused == []
    assert PROOFS.read_text(encoding="utf-8") == text_of(found), "run `make api`"


def test_sql_stands_nowhere_but_in_the_database_adapter() -> None:
    # `kira doctor` counts rows of a file that Kira may not be able to open: read-only, and never contents.
    apart = {"database", "testing", "commands"}
    sql = re.compile(r"\b(SELECT\s+[\w*(]|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM)")
    elsewhere = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not apart & set(path.parts) and sql.search(path.read_text(encoding="utf-8"))
    ]
    assert elsewhere == []
