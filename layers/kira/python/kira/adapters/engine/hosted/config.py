"""What is known of a provider without asking it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from kira.domain.errors import EngineError, ServerBusy, ServerDown
from kira.domain.limits import FIRST_TOKEN_SECONDS_MAX, HOSTED_SLOTS, TOKEN_GAP_SECONDS_MAX
from kira.ports.engine import Fleet, Model, Server


@dataclass(frozen=True, slots=True)
class HostedConfig:
    """Address (up to `/v1`), key and models of a provider, how many runs it may have at once; times in seconds."""

    address: str
    key: str
    models: tuple[str, ...]
    slots: int = HOSTED_SLOTS
    first_s: float = FIRST_TOKEN_SECONDS_MAX
    gap_s: float = TOKEN_GAP_SECONDS_MAX
    rest_s: float = 5.0

    @property
    def url(self) -> str:
        """Where answers are asked for."""
        return f"{self.address.rstrip('/')}/chat/completions"

    @property
    def name(self) -> str:
        """How people call the provider."""
        return urlsplit(self.address).netloc


def fleet_of(config: HostedConfig, running: int = 0, trouble: EngineError | None = None) -> Fleet:
    """Return the fleet of a provider as it is known without asking it."""
    models = tuple(Model(name, name, loaded=True, capabilities=("completion", "tools")) for name in config.models)
    told = f"{config.name} answers {config.slots} at a time."
    state: Literal["ok", "down", "slow"] = "ok"
    if isinstance(trouble, ServerDown | ServerBusy):
        state = "down" if isinstance(trouble, ServerDown) else "slow"
    server = Server(config.name, state, trouble.message if trouble else told, config.models[0], config.slots, running)
    return Fleet(models, (server,), config.models[0])
