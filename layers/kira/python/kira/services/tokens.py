"""Tokens: who may come in for how long, written so that only this Kira can have written it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from kira.domain import claims
from kira.domain.accounts import Role, User
from kira.domain.errors import TokenExpired, Unauthenticated
from kira.domain.ids import is_id
from kira.domain.limits import ACCESS_TOKEN_SECONDS
from kira.domain.moments import SECOND
from kira.ports.clock import Clock
from kira.ports.vault import Vault

AUDIENCE = "kira"
CLAIMS = ("sub", "sid", "role", "iat", "exp", "aud")
SECRET_BYTES = 32
TAG_BYTES = 16
_UUID_BYTES = 16
ACCESS_TOKENS_KEPT_MAX = 1024
WRONG_ACCESS = "This access token is not valid. Sign in again."
_ROLES = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token says; only the guard of a visit shows that its session still lives."""

    user_id: str
    session_id: str
    role: Role


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token that this Kira gave out: its text, for which session, the SHA-256 under which it is kept."""

    text: str
    user_id: str
    session_id: str
    hash: str


def new_secret() -> str:
    """Return 32 random bytes as base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_of(secret: str | bytes) -> str:
    """Return the SHA-256 (hex) under which a random secret is kept; it needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret).hexdigest()


# A signature that was right stays right, and checking it again would cost more than the rest of a light request.
@lru_cache(ACCESS_TOKENS_KEPT_MAX)
def _read(text: str, key: bytes) -> tuple[Access, int]:
    """Return what a token signed with `key` says and when it expires (seconds since 1970)."""
    try:
        said = claims.read(text, key)
    except ValueError as found:
        raise Unauthenticated(WRONG_ACCESS) from found
    if not all(name in said for name in CLAIMS) or said["aud"] != AUDIENCE or type(said["iat"]) is not int:
        raise Unauthenticated(WRONG_ACCESS)
    user_id, session_id, role, expires = said["sub"], said["sid"], said["role"], said["exp"]
    if not all(isinstance(claim, str) for claim in (user_id, session_id, role)) or type(expires) is not int:
        raise Unauthenticated(WRONG_ACCESS)
    if not is_id(user_id) or not is_id(session_id) or role not in _ROLES:
        raise Unauthenticated(WRONG_ACCESS)
    return Access(user_id, session_id, Role(role)), expires


@dataclass(frozen=True, slots=True)
class Tokens:
    """Writes and reads tokens with keys of the vault."""

    vault: Vault
    clock: Clock

    def access(self, user: User, session_id: str) -> str:
        """Return an access token (JWT) of `user` that lives ACCESS_TOKEN_SECONDS."""
        now = self.clock.now() // SECOND
        said = {
            "sub": user.id,
            "sid": session_id,
            "role": user.role.value,
            "iat": now,
            "exp": now + ACCESS_TOKEN_SECONDS,
            "aud": AUDIENCE,
        }
        return claims.written(said, self.vault.key("access-token"))

    def read_access(self, text: str) -> Access:
        """Return what the access token `text` says.

        Raises TokenExpired when it was good once, Unauthenticated for everything else.
        """
        access, expires = _read(text, self.vault.key("access-token"))
        if expires * SECOND <= self.clock.now():
            raise TokenExpired
        return access

    def new_refresh(self, user_id: str, session_id: str) -> Refresh:
        """Return a refresh token: whose it is, 32 random bytes, and a tag, so that any spent one is known again."""
        told = UUID(user_id).bytes + UUID(session_id).bytes + secrets.token_bytes(SECRET_BYTES)
        raw = told + self._tag(told)
        text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return Refresh(text, user_id, session_id, hash_of(raw))

    def read_refresh(self, text: str) -> Refresh:
        """Return what the refresh token `text` says; raises Unauthenticated when this Kira did not write it."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        told, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
        if len(told) != 2 * _UUID_BYTES + SECRET_BYTES or not hmac.compare_digest(tag, self._tag(told)):
            raise Unauthenticated
        owner, session = UUID(bytes=told[:_UUID_BYTES]), UUID(bytes=told[_UUID_BYTES : 2 * _UUID_BYTES])
        return Refresh(text, str(owner), str(session), hash_of(raw))

    def local(self) -> str:
        """Return the token of the printed address: the same after every start, as the master key is."""
        digest = hmac.digest(self.vault.key("local-token"), b"the printed address", "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def is_local(self, text: str) -> bool:
        """Say in constant time whether `text` is the token of the printed address."""
        return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self.local().encode())

    def _tag(self, told: bytes) -> bytes:
        return hmac.digest(self.vault.key("refresh-token"), told, "sha256")[:TAG_BYTES]
