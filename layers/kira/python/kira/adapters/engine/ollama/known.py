"""What a server says of a model that it has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kira.adapters.engine.ollama.loaded import Loaded
from kira.domain import capacity
from kira.ports.engine import Model

_NUM_CTX = re.compile(r"^num_ctx\s+([0-9]+)", re.MULTILINE)
DIGEST_CHARACTERS = 12


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
