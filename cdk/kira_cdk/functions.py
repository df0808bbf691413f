"""The table of functions: what each one serves, what it may use, and what it may touch. Everything else follows."""

from __future__ import annotations

from dataclasses import dataclass

from kira_cdk.config import Config
from kira_cdk.ports import EVERY_FUNCTION, PORTS, Port

API_SECONDS = 29  # an HTTP API gives up after 30
STREAM_SECONDS = 900


@dataclass(frozen=True)
class Function:
    """One function: the areas of the API it answers, its size, and the ports it has."""

    name: str
    told: str
    areas: tuple[str, ...]
    memory_mb: int
    seconds: int
    reserved: int  # environments at once, where the configuration reserves any
    touches: tuple[str, ...]

    def ports(self, config: Config) -> list[Port]:
        """Return every port of this function in this configuration."""
        return [EVERY_FUNCTION, *(PORTS[name] for name in (_in(config, touched) for touched in self.touches) if name)]


_WEB = ("database", "vault", "origin", "accounts")

# A GB-second costs $0.0000133 on arm64. 1,024 MB is 0.6 of a processor: with less a cold start takes longer.
FUNCTIONS: tuple[Function, ...] = (
    Function(
        "auth", "Accounts, sessions, settings", ("auth", "health"), 1024, API_SECONDS, 20, (*_WEB, "seal", "mail")
    ),
    Function(
        "chat",
        "Conversations, messages and runs",
        ("chat",),
        1024,
        API_SECONDS,
        100,
        (*_WEB, "queue", "stream", "objects", "alarm", "models", "hosted_models"),
    ),
    Function(
        "widgets",
        "Widgets and usage",
        ("widgets",),
        1024,
        API_SECONDS,
        40,
        (*_WEB, "queue", "stream", "alarm", "models", "hosted_models"),
    ),
    Function(
        "stream",
        "Words while they come",
        ("stream",),
        256,
        STREAM_SECONDS,
        200,
        (*_WEB, "queue", "stream", "models", "hosted_models"),
    ),
    Function(
        "agent",
        "Runs of hosted models",
        (),
        1024,
        900,
        20,
        ("database", "vault", "seal", "queue", "work", "stream", "objects", "alarm", "engine", "accounts"),
    ),
    Function(
        "clock",
        "What is due",
        (),
        512,
        60,
        1,
        ("database", "vault", "queue", "count", "stream", "alarm", "models", "hosted_models"),
    ),
    Function("migrate", "The schema of this version", (), 512, 900, 1, ("database", "schema")),
)
BY_NAME = {function.name: function for function in FUNCTIONS}


def _in(config: Config, port: str) -> str:
    """Return the port that stands in for `port` in this configuration, or nothing where it has no use."""
    if port == "database" and config.database_sign_in == "iam":
        return "database_by_iam"
    if port == "mail" and not config.mail_from:
        return ""
    if port in ("engine", "hosted_models") and not config.hosted:
        return ""
    return port
