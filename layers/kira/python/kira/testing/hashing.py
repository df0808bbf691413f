"""A hasher of passwords that costs next to nothing and counts its work."""

from __future__ import annotations

from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError


class CountingHasher(PasswordHasher):
    """Argon2 with the least parameters; `verifications` counts the passwords that were checked."""

    def __init__(self, passes: int = 1) -> None:
        """Hash with `passes` over 8 KiB."""
        super().__init__(time_cost=passes, memory_cost=8, parallelism=1)
        self.verifications = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        """Check `password`, and count when the whole work was done, whether it matched or not."""
        try:
            matched = super().verify(hash, password)
        except VerifyMismatchError:
            self.verifications += 1
            raise
        self.verifications += 1
        return matched
