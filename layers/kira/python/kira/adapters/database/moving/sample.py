"""How long a move will take: a few thousand rows are read, stored where they vanish again, and compared."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from kira.adapters.database.moving import lines
from kira.adapters.database.moving.move import Looked
from kira.adapters.database.moving.postgres_target import PostgresTarget
from kira.adapters.database.moving.sides import Part, Reader, Target
from kira.adapters.database.moving.sqlite_target import SqliteTarget
from kira.adapters.database.moving.tables import Plan

ROWS = 5_000
_AFTERWARDS = 10.0
"""Words and indexes on PostgreSQL take about this many times as long as storing the rows (`make bench`)."""


def seconds_for(source: Reader, target: Target, looked: Looked) -> float:
    """Return about how many seconds a move takes, from a sample of the largest table."""
    largest = max(looked.plans, key=lambda each: looked.counts[each.table.name])
    if not looked.counts[largest.table.name]:
        return 1
    began = time.monotonic()
    part = source.parts(largest.table, ROWS)[0]
    blocks = list(source.blocks(largest.table, largest.columns, part))
    rows = max(1, sum(block.count(b"\n") for block in blocks))
    stored = (
        _on_postgres(target, largest, blocks)
        if isinstance(target, PostgresTarget)
        else _on_sqlite(largest, part, blocks)
    )
    compared = time.monotonic()
    for block in blocks:
        lines.digest(block)
    spent = stored - began + 2 * (time.monotonic() - compared)
    return spent * sum(looked.counts.values()) / rows


def _on_postgres(target: PostgresTarget, each: Plan, blocks: list[bytes]) -> float:
    began = time.monotonic()
    with target.connection.transaction(force_rollback=True), target.connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE sampled ({', '.join(f'{column} TEXT' for column in each.columns)})")
        with cursor.copy("COPY sampled FROM STDIN") as copy:
            for block in blocks:
                copy.write(block)
    now = time.monotonic()
    return now + _AFTERWARDS * (now - began)


def _on_sqlite(each: Plan, part: Part, blocks: list[bytes]) -> float:
    with tempfile.TemporaryDirectory(prefix="kira-sample-") as folder:
        target = SqliteTarget(Path(folder, "sample.sqlite"))
        target.make_ready()
        target.begin("", {each.table.name: [part]})
        began = time.monotonic()
        target.write(each, part, iter(blocks))
        ended = time.monotonic()
        target.close()
    return began + 2 * (ended - began)
