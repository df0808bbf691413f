"""The statements: every one has a name, lies in a `.sql` file, and tenant ones are proven to stay within one user."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kira.domain.errors import UnprovenStatement

FOLDER = Path(__file__).parent / "sql"
_HEAD = re.compile(r"^-- (\w+) --\n", re.MULTILINE)
_WORDS = re.compile(r"'[^']*'|\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement; `tables` are those that its proof names, `target` the one it writes.

    `tables` is None for system statements, which need no proof.
    """

    name: str
    sql: str
    writes: bool
    tables: frozenset[str] | None = None
    target: str | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the text with its blanks made equal."""
        return hashlib.sha256(" ".join(self.sql.split()).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All statements of one database: `tenant` for one user's rows, `system` for the narrow way across users."""

    tenant: Mapping[str, Statement]
    system: Mapping[str, Statement]

    def refuse_writes(self, names: Iterable[str]) -> None:
        """Raise UnprovenStatement when one of the tenant statements `names` writes."""
        for name in names:
            if name in self.tenant and self.tenant[name].writes:
                raise UnprovenStatement(f"The statement {name} writes, so no replica can run it.")

    def chosen(self, name: str, params: Mapping[str, Any], user_id: str | None) -> tuple[Statement, Mapping[str, Any]]:
        """Return the statement `name` of the way of `user_id` (None: across users), and what it is given.

        Raises UnprovenStatement for a statement of no way or of the other one, and for a user that a caller named.
        """
        statement = (self.system if user_id is None else self.tenant).get(name)
        if statement is None:
            raise self._refusal(name)
        if user_id is None:
            return statement, params
        if "user_id" in params:
            raise UnprovenStatement(f"{name} was given a user_id; only the database sets it.")
        return statement, {**params, "user_id": user_id}

    def _refusal(self, name: str) -> UnprovenStatement:
        for way, there in (("database.of(user_id)", self.tenant), ("database.system", self.system)):
            if name in there:
                return UnprovenStatement(f"The statement {name} runs through {way} only.")
        return UnprovenStatement(f"There is no statement {name}.")


def read(folder: Path, dialect: str) -> dict[str, Statement]:
    """Return the statements of `folder`; those in its subfolder `dialect` take the place of equal names."""
    found = {}
    for path in (*sorted(folder.glob("*.sql")), *sorted((folder / dialect).glob("*.sql"))):
        for name, sql in parse(path.read_text(encoding="utf-8")):
            full = f"{path.stem}.{name}"
            found[full] = Statement(full, sql, writes=_does_write(sql))
    return found


def parse(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and SQL of each statement of a file; raises UnprovenStatement when the file has another form."""
    before, *parts = _HEAD.split(text)
    names = parts[::2]
    if before.strip() or len(set(names)) < len(names):
        raise UnprovenStatement("A statement file begins with `-- name --` and has every name once.")
    for name, body in zip(names, parts[1::2], strict=True):
        lines = [line for line in body.strip().splitlines() if not line.startswith("--")]
        sql = "\n".join(lines).strip().removesuffix(";")
        if not sql or ";" in sql:
            raise UnprovenStatement(f"`-- {name} --` must stand before one statement.")
        yield name, sql


def load(dialect: str, folder: Path = FOLDER) -> Catalogue:
    """Return the catalogue of `folder` for `dialect`.

    Raises UnprovenStatement for a tenant statement whose text is not the one that was proven.
    """
    proofs = json.loads((folder / "proofs.json").read_text(encoding="utf-8"))[dialect]
    tenant = {}
    for name, statement in read(folder / "queries", dialect).items():
        proof = proofs.get(name)
        if proof is None or proof["sha256"] != statement.digest:
            raise UnprovenStatement(
                f"The statement {name} was changed after it was proven. Run `python -m kira.testing.prover`."
            )
        tenant[name] = Statement(name, statement.sql, statement.writes, frozenset(proof["tables"]), proof.get("target"))
    return Catalogue(tenant, read(folder / "system", dialect))


def _does_write(sql: str) -> bool:
    return any(found[1] for found in _WORDS.finditer(sql))
