"""The vault: keys that are made from one master key, and users' secrets that only their user's run can open."""

from __future__ import annotations

from typing import Protocol


class Vault(Protocol):
    """Gives each purpose a key of its own, and seals what a user entrusts to Kira."""

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes for `purpose`, always the same in one home (HKDF-SHA256, RFC 5869)."""

    async def seal(self, user_id: str, purpose: str, secret: bytes) -> bytes:
        """Return `secret` so that it can be kept in the database; sealed twice it looks different."""

    async def open(self, user_id: str, purpose: str, sealed: bytes) -> bytes:
        """Return the secret in `sealed`.

        Raises Invalid unless it was sealed in this home for the same user and purpose, and is as it was.
        """
