"""Writes docs/functions.md from the code; a test fails when it differs from it.

Run it as `python -m kira.cloud.documents` in a checkout.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from kira.cloud.settings import CloudSettings, variable
from kira.domain.accounts import AccountsMode

PAGE = Path(__file__).resolve().parents[5] / "docs" / "functions.md"

HEAD = """\
# Settings of the functions on AWS

<!-- Written by `python -m kira.cloud.documents` from cloud/settings.py; change it there. -->

The stacks set these, as [aws.md](aws.md) says. A value that a function cannot use, or one that it lacks, stops its
start with a sentence that names it. The workers of the fleet read the [settings of every other home](settings.md).

| setting | default | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(
        f"| `{variable(each.name)}` | {_default(each.default)} | {each.metadata['description']} |\n"
        for each in fields(CloudSettings)
    )


def _default(value: object) -> str:
    if isinstance(value, AccountsMode):
        value = value.value
    return f"`{value}`" if value or value == 0 else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
