"""Claims that only the holder of a key can have written: JSON Web Tokens (RFC 7519) with HS256 and nothing else."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# One header is written and none is read: a token with any other is not ours, so no algorithm can be talked about.
HEADER = _encoded(b'{"alg":"HS256","typ":"JWT"}')


def written(claims: Mapping[str, Any], key: bytes) -> str:
    """Return the token that says `claims`, signed with `key`."""
    said = f"{HEADER}.{_encoded(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{said}.{_signature(said, key)}"


def read(token: str, key: bytes) -> dict[str, Any]:
    """Return what `token` says; raises ValueError when the holder of `key` did not write it."""
    said, _, signature = token.rpartition(".")
    header, _, payload = said.partition(".")
    if header != HEADER or not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), _signed(said, key)):
        raise ValueError("the holder of the key did not write this")
    try:
        claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True))
    except binascii.Error as error:
        raise ValueError("this is not base64url") from error
    if not isinstance(claims, dict):
        raise ValueError("a token says an object")
    return claims


def _signed(said: str, key: bytes) -> bytes:
    return _signature(said, key).encode()


def _signature(said: str, key: bytes) -> str:
    return _encoded(hmac.digest(key, said.encode("utf-8", "surrogatepass"), "sha256"))
