"""The move itself: copy in batches, settle, compare, and only then take the mark away."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kira.adapters.database.moving import lines
from kira.adapters.database.moving.movers import Movers
from kira.adapters.database.moving.sides import Phase, Reader, Target, mark_of
from kira.adapters.database.moving.tables import Plan, plan
from kira.adapters.database.moving.work import Done, Task, What, Work
from kira.domain.errors import Conflict, KiraError

ROWS_A_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: rows by table, the digest of all, and the seconds of copying and in all."""

    counts: dict[str, int]
    digest: str
    copying_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Looked:
    """What there is to move: how, how much, a text that another state of the source would not have, and leases."""

    plans: list[Plan]
    counts: dict[str, int]
    mark: str
    running: int


def look(source: Reader, target_tables: Reader | None, *, same_kind: bool) -> Looked:
    """Count what `source` holds; the tables of the target are those of the source where it has none yet."""
    tables = source.tables()
    plans = plan(tables, target_tables.tables() if target_tables else tables, same_kind=same_kind)
    summaries = {each.table.name: source.summary(each.table) for each in plans}
    counts = {name: found[0] for name, found in summaries.items()}
    return Looked(plans, counts, mark_of(plans, summaries), source.running())


def begin(source: Reader, target: Target, *, anew: bool, batch: int = ROWS_A_BATCH) -> Looked:
    """Begin a move into a target that is ready, or go on with one; raises Conflict when that was of another source."""
    looked = look(source, target.reader, same_kind=source.kind == target.kind)
    before = target.begun()
    if before is None or anew:
        target.begin(looked.mark, {each.table.name: source.parts(each.table, batch) for each in looked.plans})
    elif before != looked.mark:
        raise Conflict(
            "The migration that began here was of another FROM or another Kira, or FROM was written to since. "
            "Say --anew to begin again: what was copied so far is thrown away, FROM stays as it is."
        )
    return looked


def carry_out(source: Reader, target: Target, looked: Looked, phase: Phase, batch: int = ROWS_A_BATCH) -> Moved:
    """Do all that is still to do. Raises KiraError, and what the databases raise; a later call goes on from there."""
    began = time.monotonic()
    with Movers(source, target) as movers:
        work = Work(source, target, {each.table.name: each for each in looked.plans})
        move = _Move(work, movers, phase, batch)
        for each in looked.plans:
            move.copy(each, looked.counts[each.table.name])
        copied = time.monotonic()
        target.settle(looked.plans, phase)
        found = [move.compare(each, looked.counts[each.table.name]) for each in looked.plans]
    target.finish()
    digest = lines.digest("".join(f"{part}\n" for part in found).encode()) % 2**64
    return Moved(looked.counts, f"{digest:016x}", copied - began, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Move:
    work: Work
    movers: Movers
    phase: Phase
    batch: int

    def copy(self, plan: Plan, rows: int) -> None:
        """Copy the parts of one table that are not stored yet."""
        left, copied = self.work.target.left(plan)

        def then(_: Task, done: Done) -> None:
            nonlocal copied
            copied += done.rows
            tell(copied, rows)

        with self.phase(f"Copying {plan.table.name}", unit="rows") as tell:
            tell(copied, rows)
            self.movers.share([Task(What.COPY, plan.table.name, part) for part in left], self.work.do, then)

    def compare(self, plan: Plan, rows: int) -> str:
        """Return the number of rows and the digest of one table; raises KiraError when the two sides differ."""
        name = plan.table.name
        found = {What.READ_SOURCE: Done(0), What.READ_TARGET: Done(0)}

        def then(task: Task, done: Done) -> None:
            found[task.what] += done
            tell(sum(each.rows for each in found.values()), 2 * rows)

        with self.phase(f"Comparing {name}", unit="rows") as tell:
            sides = zip(found, (self.work.source, self.work.target.reader), strict=True)
            tasks = [Task(what, name, part) for what, side in sides for part in side.parts(plan.table, self.batch)]
            self.movers.share(tasks, self.work.do, then)
        one, two = found.values()
        if one != two:
            raise KiraError(
                f"The table {name} differs: {one.rows:,} rows in FROM and {two.rows:,} in TO, or other contents. "
                "FROM may have been written to meanwhile. TO is not used; FROM is untouched. Say --anew to begin again."
            )
        return f"{name} {one.rows} {one.digest}"
