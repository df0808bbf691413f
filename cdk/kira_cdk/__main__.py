"""`python -m kira_cdk cost` and `python -m kira_cdk diff`: what make calls."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kira_cdk import assembly, changes, cost


def main() -> int:
    """Do what was asked; 1 when a deploy would lose data."""
    parser = argparse.ArgumentParser(
        prog="kira_cdk", description="What the stacks cost, and what a deploy would change."
    )
    parser.add_argument("what", choices=("cost", "diff"))
    parser.add_argument("--out", type=Path, default=assembly.OUT, help="where the templates were synthesised")
    parser.add_argument("--against", type=Path, help="a folder with the templates that are deployed; else AWS is asked")
    asked = parser.parse_args()
    new = assembly.read(asked.out)
    if not new:
        sys.stderr.write(f"{asked.out} has no templates: run `make synth` first.\n")
        return 1
    if asked.what == "cost":
        print(_bill(new))  # noqa: T201 - it is what was asked for
        return 0
    old = assembly.read(asked.against) if asked.against else changes.deployed(list(new))
    found = changes.between(old, new)
    print(changes.told(found))  # noqa: T201 - it is what was asked for
    return 1 if any(each.loses for each in found) else 0


def _bill(new: cost.Templates) -> str:
    parts = [
        ("A month in which nobody comes", cost.idle(new)),
        ("GPU instances that always run, a month", cost.gpu(new)),
    ]
    parts.append(("1,000 runs", cost.thousand_runs(new)))
    told = []
    for title, lines in parts:
        told += [
            f"{title}: ${cost.total(lines):,.2f}",
            *(f"  {line.told:<46} {line.dollars:9.2f}" for line in lines),
            "",
        ]
    return "\n".join(
        [*told, f"List prices of {cost.PRICES['region']}, read {cost.PRICES['read']}, without any free tier."]
    )


if __name__ == "__main__":
    sys.exit(main())
