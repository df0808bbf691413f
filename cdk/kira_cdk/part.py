"""What all stacks have in common: a name that begins with the name of their Kira, and its region."""

from __future__ import annotations

from typing import Any

from aws_cdk import Stack
from constructs import Construct

from kira_cdk.config import Config


class Part(Stack):
    """One stack of one Kira."""

    def __init__(self, scope: Construct, config: Config, name: str, *, region: str = "", **more: Any) -> None:
        """Make the stack `name`, in `region` where that is not the configuration's."""
        whole = f"{config.name}-{name}"
        super().__init__(scope, whole, stack_name=whole, env={"region": region or config.region}, **more)
