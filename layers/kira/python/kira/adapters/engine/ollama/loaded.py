"""What a server says of a model that it has in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kira.domain.capacity import Shape

HOST_SHARE = 0.02
"""Part of a model that may stay in host memory, beside the embedding, without its layers being there."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in a server's memory; `context` in tokens per slot, sizes in bytes."""

    context: int | None
    size: int
    size_vram: int

    def share_on_card(self, shape: Shape | None) -> float:
        """Return which part is on the card; 1.0 when all layers are, or when there is no card at all.

        llama.cpp keeps the embedding in host memory even then (domain/capacity.py), so that much may be missing.
        """
        if self.size_vram <= 0 or self.size <= 0:
            return 1.0
        host = shape.cpu if shape else 0
        missing = self.size - self.size_vram
        return 1.0 if missing <= host + self.size * HOST_SHARE else self.size_vram / self.size


def read_loaded(entry: Mapping[str, Any]) -> Loaded:
    """Read an entry of `/api/ps`."""
    context = entry.get("context_length")
    return Loaded(int(context) if context else None, int(entry.get("size") or 0), int(entry.get("size_vram") or 0))
