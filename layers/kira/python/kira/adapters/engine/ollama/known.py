"""What is known of a model on one server: how it is described, whether it is loaded, and its slots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kira.domain import capacity
from kira.ports.engine import Model

_NUM_CTX = re.compile(r"^num_ctx\s+([0-9]+)", re.MULTILINE)
DIGEST_CHARACTERS = 12
HOST_SHARE = 0.02
"""Part of a model that may stay in host memory, beside the embedding, without its layers being there."""


@dataclass(frozen=True, slots=True)
class Known:
    """A model as `/api/tags` and `/api/show` describe it; `context` in tokens, `size` in bytes."""

    name: str
    digest: str
    size: int | None
    capabilities: tuple[str, ...]
    context: int | None
    stated_context: int | None
    shape: capacity.Shape | None
    is_forced_one: bool

    @property
    def is_chat(self) -> bool:
        """Say whether it can answer; an embedder cannot."""
        return not self.capabilities or "completion" in self.capabilities

    @property
    def label(self) -> str:
        """The name as people say it."""
        return self.name.removesuffix(":latest")

    def shown(self, loaded: Loaded | None, context: int | None) -> Model:
        """Return it as it can be chosen; `context` is what a setting asks for."""
        tokens = loaded.context if loaded else context or self.stated_context or self.context
        size, is_loaded = self.size, loaded is not None
        return Model(self.name, self.label, tokens, size, is_loaded, capabilities=self.capabilities)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in a server's memory; `context` in tokens per slot, sizes in bytes."""

    context: int | None
    size: int
    size_vram: int

    def share_on_card(self, known: Known | None) -> float:
        """Return which part is on the card; 1.0 when all layers are, or when there is no card at all.

        llama.cpp keeps the embedding in host memory even then (domain/capacity.py), so that much may be missing.
        """
        if self.size_vram <= 0 or self.size <= 0:
            return 1.0
        host = known.shape.cpu if known and known.shape else 0
        missing = self.size - self.size_vram
        return 1.0 if missing <= host + self.size * HOST_SHARE else self.size_vram / self.size


@dataclass(slots=True)
class Count:
    """How many slots a model has on a server.

    `slots` are believed now; `is_found` when they were stated or found out; `is_held` while they are being found
    out, and no run may begin; `hint` is what was found before; no search begins before `not_before` (loop time).
    """

    slots: int = 1
    is_found: bool = False
    is_held: bool = False
    hint: int | None = None
    not_before: float = 0.0


def read_known(tag: Mapping[str, Any], shown: Mapping[str, Any]) -> Known:
    """Read a model from its entry of `/api/tags` and its answer of `/api/show`."""
    shape = capacity.read_shape(shown)
    info = shown.get("model_info") or {}
    trained = info.get(f"{info.get('general.architecture')}.context_length")
    stated = _NUM_CTX.search(str(shown.get("parameters") or ""))
    return Known(
        name=str(tag["name"]),
        digest=str(tag.get("digest") or "")[:DIGEST_CHARACTERS],
        size=int(tag["size"]) if tag.get("size") else None,
        capabilities=tuple(map(str, shown.get("capabilities") or ())),
        context=int(trained) if trained else None,
        stated_context=int(stated[1]) if stated else None,
        shape=shape,
        is_forced_one=capacity.is_forced_one(shown),
    )


def read_loaded(entry: Mapping[str, Any]) -> Loaded:
    """Read an entry of `/api/ps`."""
    context = entry.get("context_length")
    return Loaded(int(context) if context else None, int(entry.get("size") or 0), int(entry.get("size_vram") or 0))
