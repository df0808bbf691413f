"""Finds how many answers go at once on this card, before the first is asked for."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from kira.adapters.engine.vram import card_mib
from kira.cloud.fleet.parameters import Parameters
from kira.cloud.fleet.store import NotReady
from kira.domain.capacity import MIB, read_shape, slots_that_fit
from kira.domain.limits import SLOTS_PROBED_MAX

CONTEXT, KV_TYPE = 8192, "q8_0"
"""As ollama.service has them; a test compares."""

ANSWER_SECONDS, START_SECONDS, PAUSE_SECONDS = 10, 120, 0.2


def wait_for(ollama: str) -> None:
    """Return when Ollama answers. Raises NotReady."""
    until = time.monotonic() + START_SECONDS
    while not answers(ollama):
        if time.monotonic() > until:
            raise NotReady(f"Ollama does not answer at {ollama}; `journalctl -u ollama` says why.")
        time.sleep(PAUSE_SECONDS)


def answers(ollama: str) -> bool:
    """Say whether Ollama answers."""
    try:
        return "version" in _ask(f"{ollama}/api/version")
    except (OSError, ValueError):
        return False


def slots_of(given: Parameters) -> int:
    """Return how many slots every model has on this card, at most as many as are useful. Raises NotReady."""
    mib = given.vram_mib or card_mib()
    if mib is None:
        raise NotReady("There is no card on this instance, or its driver is not well: `nvidia-smi` says more.")
    return min(_slots(given.ollama, model, mib) for model in given.models)


def _slots(ollama: str, model: str, mib: int) -> int:
    try:
        shape = read_shape(_ask(f"{ollama}/api/show", {"model": model}))
    except (OSError, ValueError) as error:
        raise NotReady(f"Ollama does not say what {model} is: {error}") from None
    if shape is None:
        return 1  # it does not tell enough; the worker finds out whether it fits when it loads it
    room = slots_that_fit(shape, mib * MIB, min(CONTEXT, shape.context or CONTEXT), KV_TYPE)
    if not room:
        raise NotReady(f"{model} does not fit on a card of {mib:,} MiB. Choose a smaller model or a larger card.")
    return min(room, SLOTS_PROBED_MAX)


def _ask(address: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(address, data, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the address is ours
        return dict(json.load(answer))
