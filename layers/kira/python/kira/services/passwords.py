"""Passwords: hashed with argon2 in two threads of their own, so that a flood of sign-ins cannot starve the rest."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from kira.domain.accounts import password_bytes
from kira.domain.errors import Unavailable
from kira.domain.limits import PASSWORD_CHECKS_AT_ONCE_MAX, PASSWORD_CHECKS_WAITING_MAX

# Argon2id as the OWASP Password Storage Cheat Sheet advises: 19 MiB, two passes, one lane.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
SALT_BYTES = 16
HASH_BYTES = 32

T = TypeVar("T")


def argon2id() -> PasswordHasher:
    """Return the hasher of accounts."""
    return PasswordHasher(PASSES, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES, type=Type.ID)


def dummy_hash(hasher: PasswordHasher) -> str:
    """Return a hash that costs what every other costs and that no password has: its digest is all zeros."""
    salt, digest = (base64.b64encode(bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"


@dataclass(slots=True)
class Passwords:
    """Hashes and checks passwords; at most PASSWORD_CHECKS_AT_ONCE_MAX at once, the others wait in order."""

    hasher: PasswordHasher = field(default_factory=argon2id)
    _threads: ThreadPoolExecutor = field(init=False)
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Threads begin with the first password, not with Kira."""
        self._threads = ThreadPoolExecutor(PASSWORD_CHECKS_AT_ONCE_MAX, "kira-password")

    async def hash(self, password: str) -> str:
        """Return a salted hash of `password`; raises Unavailable when too many are waiting."""
        return await self._in_thread(lambda: self.hasher.hash(password_bytes(password)))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Say whether `password` has `password_hash`; without one the work is done all the same, so time tells nothing.

        Raises Unavailable when too many are waiting.
        """
        return await self._in_thread(lambda: self._verify(password_hash or dummy_hash(self.hasher), password))

    def is_outdated(self, password_hash: str) -> bool:
        """Say whether `password_hash` was made with other parameters than today's."""
        return self.hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self.hasher.verify(password_hash, password_bytes(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= PASSWORD_CHECKS_WAITING_MAX:
            raise Unavailable("Too many people are signing in just now. Try again in a moment.", retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
