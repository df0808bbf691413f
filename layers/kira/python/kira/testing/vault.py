"""A vault that keeps its master key in memory."""

from __future__ import annotations

from dataclasses import dataclass

from kira.domain.keys import key_for


@dataclass(frozen=True, slots=True)
class MemoryVault:
    """Derives keys from `master` as every vault does."""

    master: bytes = b"a master key for tests, 32 bytes"

    def key(self, purpose: str) -> bytes:
        """Return the 32 bytes of `purpose`."""
        return key_for(self.master, purpose)
