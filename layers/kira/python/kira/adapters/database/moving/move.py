"""The move itself: copy in batches, settle, compare, and only then take the mark away."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kira.adapters.database.moving import lines
from kira.adapters.database.moving.sides import Phase, Reader, Target, Tell, mark_of
from kira.adapters.database.moving.tables import Plan, plan
from kira.domain.errors import Conflict, KiraError

ROWS_A_BATCH = 50_000


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


def begin(source: Reader, target: Target, *, anew: bool) -> Looked:
    """Begin a move into a target that is ready, or go on with one; raises Conflict when that was of another source."""
    looked = look(source, target.reader, same_kind=source.kind == target.kind)
    before = target.begun()
    if before is None or anew:
        target.begin(looked.mark)
    elif before != looked.mark:
        raise Conflict(
            "The migration that began here was of another FROM, or FROM was written to since. "
            "Say --anew to begin again: what was copied so far is thrown away, FROM stays as it is."
        )
    return looked


def carry_out(source: Reader, target: Target, looked: Looked, phase: Phase, batch: int = ROWS_A_BATCH) -> Moved:
    """Do all that is still to do. Raises KiraError, and what the databases raise; a later call goes on from there."""
    began = time.monotonic()
    for each in looked.plans:
        place = target.place(each.table.name)
        rows = looked.counts[each.table.name]
        with phase(f"Copying {each.table.name}", unit="rows") as tell:
            while not place.done:
                tell(place.copied, rows)
                blocks = source.blocks(each.table, each.columns, after=place.last, limit=batch)
                place = target.write(each, place, blocks, batch)
    copied = time.monotonic()
    target.settle(looked.plans, phase)
    found = _compare(source, target.reader, looked, phase)
    target.finish()
    return Moved(looked.counts, found, copied - began, time.monotonic() - began)


def _compare(source: Reader, target: Reader, looked: Looked, phase: Phase) -> str:
    """Return the digest of everything; raises KiraError when the two sides differ."""
    found = []
    for each in looked.plans:
        name = each.table.name
        with phase(f"Comparing {name}", unit="rows") as tell:
            two = [
                _digest(side, each, half, 2 * looked.counts[name], tell) for half, side in enumerate((source, target))
            ]
        if two[0] != two[1]:
            raise KiraError(
                f"The table {name} differs: {two[0][0]:,} rows in FROM and {two[1][0]:,} in TO, or other contents. "
                "FROM may have been written to meanwhile. TO is not used; FROM is untouched. Say --anew to begin again."
            )
        found.append(f"{name} {two[0]}")
    return f"{lines.digest(''.join(part + chr(10) for part in found).encode()) % 2**64:016x}"


def _digest(side: Reader, each: Plan, half: int, total: int, tell: Tell) -> tuple[int, int]:
    rows, found = 0, 0
    for block in side.blocks(each.table, each.table.own):
        rows += block.count(b"\n")
        found += lines.digest(block)
        tell(half * total // 2 + rows, total)
    return rows, found
