"""Steps: the numbered changes of a schema, read from their files and held against what a database was given."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kira.domain.errors import WrongSetting

LEDGER = (
    "CREATE TABLE IF NOT EXISTS schema_steps ("
    "number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)"
)
"""Where a database keeps which steps it was given; the same words on every engine."""


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """One numbered change of the schema.

    In a file a line `-- drops <table>` says which table it means to lose; on a server `-- since <number>` says which
    step a program must know to go on working when this one was applied.
    """

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the step's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def since(self) -> int:
        """The oldest step whose programs this step leaves working; its own number when it says nothing."""
        said = re.search(r"^-- since (\d+)$", self.sql, re.MULTILINE)
        return int(said[1]) if said else self.number


def read(folder: Path) -> list[SchemaStep]:
    """Return the steps of `folder` in their order."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(SchemaStep(int(number), name, path.read_text(encoding="utf-8")))
    return found


def find_missing(
    there: Mapping[int, str], wanted: Sequence[SchemaStep], where: str, since: int | None = None
) -> list[SchemaStep]:
    """Return the steps of `wanted` that are not `there` (digests by number) in the database called `where`.

    Raises WrongSetting when a newer Kira was there, unless `since` says that this one goes on working; and when a step
    has another text than the one that was applied.
    """
    newest = wanted[-1].number if wanted else 0
    if there and max(there) > newest and (since is None or since > newest):
        raise WrongSetting(
            f"{where[:1].upper()}{where[1:]} was written by a newer Kira (step {max(there)}; this one knows {newest}). "
            "Install that version again, or restore a backup of this one."
        )
    for step in wanted:
        if step.number in there and there[step.number] != step.digest:
            raise WrongSetting(f"Step {step.number} of the schema was changed after it was applied to {where}.")
    return [step for step in wanted if step.number not in there]
