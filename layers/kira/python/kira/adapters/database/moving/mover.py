"""A process that does parts of a move, told by lines of JSON: first both sides, then one task after the other."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from kira.adapters.database.moving import sqlite_reader
from kira.adapters.database.moving.failures import HANDLED, why
from kira.adapters.database.moving.postgres_target import PostgresTarget
from kira.adapters.database.moving.sides import Part
from kira.adapters.database.moving.tables import plan
from kira.adapters.database.moving.work import Task, What, Work
from kira.domain.errors import KiraError


def answers(told: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield what to say after each line of `told`; it ends with them, so nobody is left behind by who was killed."""
    given = iter(told)
    first = next(given, "")
    if not first:
        return
    path, address = json.loads(first)
    with (
        closing(sqlite_reader.open_source(Path(path))) as source,
        closing(PostgresTarget(address, joins=True)) as target,
    ):
        plans = plan(source.tables(), target.reader.tables(), same_kind=False)
        work = Work(source, target, {each.table.name: each for each in plans})
        yield {}
        for line in given:
            what, table, first, last = json.loads(line)
            yield _answer(work, Task(What(what), table, Part(first, last)))


def _answer(work: Work, task: Task) -> dict[str, Any]:
    try:
        done = work.do(task)
    except KiraError as error:
        return {"refused": error.message}
    except HANDLED as error:
        return {"stopped": why(error)}
    return {"rows": done.rows, "digest": done.digest}


def main() -> None:
    """Answer what comes in."""
    try:
        for answer in answers(sys.stdin):
            os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")  # nothing is left to say at the end
    except (KiraError, *HANDLED):
        sys.exit(1)  # whoever started it goes on without it


if __name__ == "__main__":
    main()
