"""Templates without the CDK's own command: for the cost, for comparisons, and for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from kira_cdk import assembly, stacks
from kira_cdk.config import Config

Check = Callable[[cdk.App], Any]


def templates(config: Config, folder: Path, check: Check | None = None) -> dict[str, dict[str, Any]]:
    """Synthesise `config` into `folder` and return the template of each stack, by the stack's name.

    What `check` finds and nobody gave a reason for stops it.
    """
    app = stacks.app(str(folder))
    stacks.build(app, config)
    if check is not None:
        cdk.Validations.of(app).add_plugins(check(app))
    app.synth()
    return assembly.read(folder)
