"""What the host is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass

from kira.domain.limits import RUN_SECONDS_MAX

METADATA = "http://169.254.169.254"
"""Where EC2 answers an instance about itself."""


@dataclass(frozen=True, slots=True)
class Ec2Config:
    """The Auto Scaling group `fleet` and its hook for instances that terminate; all other fields are seconds.

    EC2 recommends to look every 5 seconds. A spot instance goes 120 seconds after the notice, of which `spare` are
    for what follows the answers. With a hook an answer may take as long as any may.
    """

    fleet: str
    hook: str | None = None
    metadata: str = METADATA
    look: float = 5
    answer: float = 2
    metrics: float = 60
    protection: float = 15
    idle: float = 60
    heartbeat: float = 30
    spot: float = 90
    spare: float = 20
    drain: float = RUN_SECONDS_MAX
