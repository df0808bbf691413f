"""The vault on AWS: every secret has a key of its own, which KMS wraps and unwraps for one user and purpose only."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from kira.adapters.vault.keyfile import KeyfileVault, Sealer
from kira.domain.errors import Forbidden, Invalid, NotFound

FORMAT = b"\x02"
LENGTH_BYTES = 2
OTHER = "This secret cannot be opened: it was sealed for another user or purpose, was changed, or by another home."

Ask = Callable[[str, str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Takes a service, an action and what it is asked; returns the answer."""


class KmsVault:
    """Keys for purposes come from the master key as at home; secrets are sealed below a key that never leaves KMS."""

    def __init__(self, keys: KeyfileVault, ask: Ask, key_id: str, sealer: Sealer) -> None:
        """Seal below the key `key_id` of KMS, which is asked through `ask`."""
        self._keys, self._ask, self._key_id, self._sealer = keys, ask, key_id, sealer

    def key(self, purpose: str) -> bytes:
        """Return the 32 bytes of `purpose`."""
        return self._keys.key(purpose)

    async def seal(self, user_id: str, purpose: str, secret: bytes) -> bytes:
        """Return the wrapped key and what it seals. Raises KiraError when KMS cannot be asked."""
        sealing = self._sealer()
        asked = {"KeyId": self._key_id, "KeySpec": "AES_256", "EncryptionContext": _context(user_id, purpose)}
        made = await self._ask("kms", "GenerateDataKey", asked)
        key, wrapped = base64.b64decode(made["Plaintext"]), base64.b64decode(made["CiphertextBlob"])
        sealed = sealing.seal(key, user_id, purpose, secret)
        return FORMAT + len(wrapped).to_bytes(LENGTH_BYTES) + wrapped + sealed

    async def open(self, user_id: str, purpose: str, sealed: bytes) -> bytes:
        """Return the secret in `sealed`; raises Invalid, and KiraError when KMS cannot be asked."""
        begin = len(FORMAT) + LENGTH_BYTES
        end = begin + int.from_bytes(sealed[len(FORMAT) : begin])
        if not sealed.startswith(FORMAT) or len(sealed) <= end:
            raise Invalid(OTHER)
        asked = {
            "KeyId": self._key_id,
            "CiphertextBlob": base64.b64encode(sealed[begin:end]).decode(),
            "EncryptionContext": _context(user_id, purpose),
        }
        try:
            told = await self._ask("kms", "Decrypt", asked)
        except (Forbidden, Invalid, NotFound) as error:
            raise Invalid(OTHER) from error
        return self._sealer().open(base64.b64decode(told["Plaintext"]), user_id, purpose, sealed[end:])


def _context(user_id: str, purpose: str) -> dict[str, str]:
    """Return what KMS binds the key to; it is no secret, and stands in Amazon's own log of who opened what."""
    return {"user": user_id, "purpose": purpose}
