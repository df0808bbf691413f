"""Where the Ollama engine remembers what it found out."""

from __future__ import annotations

from typing import Protocol


class Findings(Protocol):
    """Remembers how many slots a server was found to have; `version` also names the model's version."""

    async def load(self, server: str, model: str, version: str) -> int | None:
        """Return what was found before, or None."""

    async def save(self, server: str, model: str, version: str, slots: int) -> None:
        """Remember what was found."""
