"""A move in pieces, each of which any process can do that has both sides open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kira.adapters.database.moving import lines
from kira.adapters.database.moving.sides import Part, Reader, Target
from kira.adapters.database.moving.tables import Plan


class What(StrEnum):
    """What is done with a part."""

    COPY = "copy"
    READ_SOURCE = "read source"
    READ_TARGET = "read target"


@dataclass(frozen=True, slots=True)
class Task:
    """One part of one table, and what to do with it."""

    what: What
    table: str
    part: Part


@dataclass(frozen=True, slots=True)
class Done:
    """How many rows a part had, and the digest of those that were read to be compared."""

    rows: int
    digest: int = 0

    def __add__(self, other: Done) -> Done:
        return Done(self.rows + other.rows, self.digest + other.digest)


@dataclass(frozen=True, slots=True)
class Work:
    """Both sides, as one process has them open, and how each table is moved."""

    source: Reader
    target: Target
    plans: Mapping[str, Plan]

    def do(self, task: Task) -> Done:
        """Do `task`. Raises KiraError, and what the databases raise; then nothing of it is done."""
        plan = self.plans[task.table]
        if task.what is What.COPY:
            blocks = self.source.blocks(plan.table, plan.columns, task.part)
            return Done(self.target.write(plan, task.part, blocks))
        side = self.source if task.what is What.READ_SOURCE else self.target.reader
        rows = found = 0
        for block in side.blocks(plan.table, plan.table.own, task.part):
            rows += block.count(b"\n")
            found += lines.digest(block)
        return Done(rows, found)
