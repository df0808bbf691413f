"""The vault: keys that are made from one master key and never leave it in plain form on disk."""

from __future__ import annotations

from typing import Protocol


class Vault(Protocol):
    """Gives each purpose a key of its own."""

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes for `purpose`, always the same in one home (HKDF-SHA256, RFC 5869)."""
