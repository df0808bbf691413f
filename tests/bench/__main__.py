"""`make bench`: measure all marks, or those named on the command line, and print them as a table."""

from __future__ import annotations

import os
import sys
import time

from tests.bench import (
    fairness,
    functions,
    growth,
    instances,
    migration,
    reads,
    second_home,
    start,
    statements,
    streams,
)
from tests.bench.marks import Mark, Measure

MEASURES: dict[str, Measure] = {
    "start": start.start,
    "size": start.size,
    "weight": start.weight,
    "streams": streams.streams,
    "reads": reads.reads,
    "light": fairness.heavy_and_light,
    "endless": fairness.endless,
    "statements": statements.statements,
    "growth": growth.growth,
    "instances": instances.instances,
    "second": second_home.second_home,
    "migration": migration.migration,
    "functions": functions.functions,
}


def main() -> int:
    """Measure and print; returns 1 when a goal is missed."""
    names = sys.argv[1:] or list(MEASURES)
    marks: list[Mark] = []
    for name in names:
        began = time.perf_counter()
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        marks += MEASURES[name]()
        print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    print(f"\nLoad of this machine now: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores.\n")
    print("| mark | Kira | goal | | Open WebUI; LiteLLM |\n|---|---|---|---|---|")
    print("\n".join(mark.line() for mark in marks))
    print("\nHow each was measured:\n")
    print("\n".join(f"- {mark.name}: {mark.rule}." for mark in marks))
    return any(not mark.is_met for mark in marks)


if __name__ == "__main__":
    sys.exit(main())
