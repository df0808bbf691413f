"""Seals: AES-256-GCM bound to a user and a purpose, so that a row that is copied to another does not open."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kira.domain.errors import Invalid

NONCE_BYTES = 12
WRONG = "This secret cannot be opened: it was sealed for another user or purpose, or was changed since."


class Sealing:
    """Seals and opens with a key of 32 bytes."""

    def seal(self, key: bytes, user_id: str, purpose: str, secret: bytes) -> bytes:
        """Return a nonce of its own and the sealed `secret`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, secret, _about(user_id, purpose))

    def open(self, key: bytes, user_id: str, purpose: str, sealed: bytes) -> bytes:
        """Return the secret in `sealed`; raises Invalid."""
        try:
            return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _about(user_id, purpose))
        except (InvalidTag, ValueError) as error:
            raise Invalid(WRONG) from error


def _about(user_id: str, purpose: str) -> bytes:
    # With its length in front, no user and purpose read like another user and purpose.
    return f"{len(user_id)}:{user_id}:{purpose}".encode()
