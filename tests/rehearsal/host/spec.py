"""What the template says of one function, with its assets where they were unpacked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "123456789012"
WRAPPER = "/opt/bootstrap"
"""The adapter's start script; a function whose `AWS_LAMBDA_EXEC_WRAPPER` names it is a web server."""


@dataclass(frozen=True)
class Spec:
    """A function as it is deployed."""

    name: str
    handler: str
    folder: Path
    layers: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 3
    memory_mb: int = 128
    reserved: int | None = None
    key_id: str = "AKIAREHEARSAL0000000"
    """The access key of its role, by which its calls are known."""
    log_format: str = "Text"
    endpoint: str = ""
    """Where its calls of AWS go."""

    @property
    def arn(self) -> str:
        """Its address."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"

    @property
    def is_web_server(self) -> bool:
        """Whether the Lambda Web Adapter stands between Lambda and the function."""
        return self.environment.get("AWS_LAMBDA_EXEC_WRAPPER") == WRAPPER
