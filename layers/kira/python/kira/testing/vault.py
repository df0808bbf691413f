"""A vault that keeps its master key in memory."""

from __future__ import annotations

from dataclasses import dataclass

from kira.adapters.vault.sealing import Sealing
from kira.domain.keys import key_for


@dataclass(frozen=True, slots=True)
class MemoryVault:
    """Derives keys from `master` as every vault does."""

    master: bytes = b"a master key for tests, 32 bytes"

    def key(self, purpose: str) -> bytes:
        """Return the 32 bytes of `purpose`."""
        return key_for(self.master, purpose)

    async def seal(self, user_id: str, purpose: str, secret: bytes) -> bytes:
        """Return `secret`, sealed."""
        return Sealing().seal(self.key("seal"), user_id, purpose, secret)

    async def open(self, user_id: str, purpose: str, sealed: bytes) -> bytes:
        """Return the secret in `sealed`; raises Invalid."""
        return Sealing().open(self.key("seal"), user_id, purpose, sealed)
