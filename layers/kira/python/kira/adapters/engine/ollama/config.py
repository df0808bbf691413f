"""What the Ollama engine is told when it is made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kira.adapters.engine.ollama.findings import Findings
from kira.domain.capacity import BATCH, MIB
from kira.domain.limits import (
    FIRST_TOKEN_SECONDS_MAX,
    MODEL_CHANGE_SECONDS,
    SERVER_LOOK_SECONDS,
    SLOTS_PROBED_MAX,
    TOKEN_GAP_SECONDS_MAX,
)


def _no_card() -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class OllamaConfig:
    """Addresses and settings; seconds where a field is a time.

    `slots` is an upper bound per server and model; `num_parallel` is Ollama's own setting, believed on this host;
    `context` in tokens per slot; `vram_mib` is the card of the servers, `card_mib` asks the driver of this host.
    """

    addresses: tuple[str, ...]
    slots: int | None = None
    num_parallel: int | None = None
    context: int | None = None
    keep_alive: str | None = None
    vram_mib: int | None = None
    card_mib: Callable[[], int | None] = _no_card
    findings: Findings | None = None
    first_token: float = FIRST_TOKEN_SECONDS_MAX
    token_gap: float = TOKEN_GAP_SECONDS_MAX
    look: float = SERVER_LOOK_SECONDS
    look_when_empty: float = 3.0
    look_timeout: float = 5.0
    pause_min: float = 0.2
    pause_max: float = 5.0
    model_change: float = MODEL_CHANGE_SECONDS

    @property
    def options(self) -> dict[str, Any]:
        """The runner's options of every request; any difference would make Ollama load the model again."""
        return {"num_batch": BATCH, **({"num_ctx": self.context} if self.context else {})}

    @property
    def bound(self) -> int:
        """The most slots that are believed in."""
        return self.slots or SLOTS_PROBED_MAX

    def kept_alive(self) -> dict[str, Any]:
        """Return the field `keep_alive`, if it is set; plain numbers are seconds and must be sent as numbers."""
        if self.keep_alive is None:
            return {}
        is_number = re.fullmatch(r"-?[0-9]+", self.keep_alive)
        return {"keep_alive": int(self.keep_alive) if is_number else self.keep_alive}

    def stated(self, address: str) -> int | None:
        """Return Ollama's own parallelism where it is stated for the server at `address`."""
        return self.num_parallel if is_local(address) else None

    def vram(self, address: str) -> int | None:
        """Return the bytes of the card of the server at `address`, where they are known."""
        mib = self.vram_mib or (self.card_mib() if is_local(address) else None)
        return mib * MIB if mib else None


def is_local(address: str) -> bool:
    """Say whether `address` is this computer."""
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
