"""Passwords: hashed at a price, and checked at the same price for nobody."""

from __future__ import annotations

from kira.domain.accounts import AccountsMode
from kira.domain.guests import Guest
from kira.services.passwords import MEMORY_KIB, Passwords, argon2id, dummy_hash
from kira.testing.hashing import CountingHasher
from kira.testing.visiting import PASSWORD, SmallWorld, accounts_of, form_of

HOME = Guest("192.0.2.1", "Firefox on Linux")
OPEN = AccountsMode.OPEN


def test_the_dummy_costs_what_every_hash_costs() -> None:
    hasher = argon2id()
    real, dummy = hasher.hash("x"), dummy_hash(hasher)
    assert real.split("$")[:4] == dummy.split("$")[:4]
    assert [len(part) for part in real.split("$")] == [len(part) for part in dummy.split("$")]
    assert f"m={MEMORY_KIB}," in real
    assert not hasher.check_needs_rehash(dummy)


async def test_a_hash_of_older_parameters_is_made_anew_at_sign_in(small_world: SmallWorld) -> None:
    await accounts_of(small_world, OPEN, CountingHasher(passes=1)).sign_up(form_of("aya@example.org"), HOME)
    newer = CountingHasher(passes=2)
    accounts = accounts_of(small_world, OPEN, newer)
    for _ in range(2):
        await accounts.sign_in("aya@example.org", PASSWORD, HOME)
    stored = (await small_world.database.system.query("accounts.by_email", {"email": "aya@example.org"}))[0]
    assert not newer.check_needs_rehash(stored["password_hash"])


async def test_the_real_parameters_work() -> None:
    passwords = Passwords()
    made = await passwords.hash("jose\u0301's secret")
    assert await passwords.matches(made, "jos\u00e9's secret")
    assert not await passwords.matches(made, "another")
    assert not await passwords.matches(None, "another")
    assert not await passwords.matches("no hash", "another")
