"""Attempts: how often a guest may try to come in, per account and per address."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kira.domain.errors import RateLimited
from kira.domain.guests import Guest
from kira.domain.limits import SIGN_IN_PER_ACCOUNT, SIGN_IN_PER_ADDRESS, SIGN_UP_PER_ADDRESS, Limit
from kira.ports.clock import Clock
from kira.ports.database import Call, Database, NoRow, Result
from kira.services.tokens import hash_of
from kira.services.visits import sentence


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt under one `limit`, counted under `key`."""

    limit: Limit
    key: str


def to_account(email: str) -> Attempt:
    """An attempt to sign in with `email`, whether such an account exists or not."""
    return Attempt(SIGN_IN_PER_ACCOUNT, f"account/{hash_of(email)}")


def to_sign_in(guest: Guest) -> Attempt:
    """An attempt to sign in from the guest's address."""
    return Attempt(SIGN_IN_PER_ADDRESS, f"sign-in/{guest.network}")


def to_sign_up(guest: Guest) -> Attempt:
    """An attempt to sign up from the guest's address."""
    return Attempt(SIGN_UP_PER_ADDRESS, f"sign-up/{guest.network}")


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts attempts in the shared database, exactly."""

    database: Database
    clock: Clock

    async def take(self, attempts: Sequence[Attempt], then: Sequence[Call] = ()) -> list[Result]:
        """Count `attempts` and run `then` in one round trip; returns what `then` gave.

        Raises RateLimited with the true wait when one of them is over its limit; then none is counted.
        """
        now = self.clock.now()
        try:
            results = await self.database.system.run([*(_take(attempt, now) for attempt in attempts), *then])
        except NoRow as refused:
            if refused.name == "attempts.take":
                raise await self._refusal(attempts, now) from refused
            raise
        return results[len(attempts) :]

    def give_back(self, attempts: Sequence[Attempt]) -> list[Call]:
        """Return the statements by which `attempts` that succeeded no longer count."""
        return [
            Call("accounts.give_back_attempt", {"key": attempt.key, "interval": attempt.limit.interval})
            for attempt in attempts
        ]

    async def _refusal(self, attempts: Sequence[Attempt], now: int) -> RateLimited:
        calls = [Call("attempts.read", {"key": attempt.key}) for attempt in attempts]
        results = await self.database.system.run(calls)
        waits = [
            (attempt.limit.wait_s(int(result.rows[0]["arrival"]) if result.rows else 0, now), attempt.limit)
            for attempt, result in zip(attempts, results, strict=True)
        ]
        wait, limit = max(waits, key=lambda pair: pair[0])
        return RateLimited(sentence(limit, wait), retry_after_s=max(1, math.ceil(wait)), limit=limit.name)


def _take(attempt: Attempt, now: int) -> Call:
    limit = attempt.limit
    params = {"key": attempt.key, "now": now, "interval": limit.interval, "tolerance": limit.tolerance}
    return Call("attempts.take", params, must=True)
