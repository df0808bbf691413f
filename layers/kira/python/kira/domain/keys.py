"""Keys from keys: one secret gives every purpose a key of its own."""

from __future__ import annotations

import hashlib
import hmac

KEY_BYTES = 32
_BLOCK_BYTES = hashlib.sha256().digest_size


def hkdf(secret: bytes, *, salt: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """Return `length` bytes (at most 8160) derived from `secret` for `info` by HKDF-SHA256 (RFC 5869)."""
    pseudorandom = hmac.digest(salt or bytes(_BLOCK_BYTES), secret, "sha256")
    material = block = b""
    for number in range(1, -(-length // _BLOCK_BYTES) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([number]), "sha256")
        material += block
    return material[:length]


def key_for(master: bytes, purpose: str) -> bytes:
    """Return the 32-byte key of `purpose` below the `master` secret."""
    return hkdf(master, salt=b"kira", info=purpose.encode())
