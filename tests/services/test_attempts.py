"""Attempts: limited exactly, per account and per address, and alike for unknown and known e-mails."""

from __future__ import annotations

import asyncio

import pytest

from kira.domain.accounts import AccountsMode
from kira.domain.errors import Invalid, RateLimited, WrongCredentials
from kira.domain.guests import Guest
from kira.domain.limits import SIGN_IN_PER_ACCOUNT, SIGN_IN_PER_ADDRESS, SIGN_UP_PER_ADDRESS
from kira.testing.hashing import CountingHasher
from kira.testing.visiting import PASSWORD, SmallWorld, accounts_of, form_of, visit_of

HOME = Guest("192.0.2.1", "Firefox on Linux")
ELSEWHERE = Guest("198.51.100.7", "Chrome on Android")
OFF, OPEN = AccountsMode.OFF, AccountsMode.OPEN


def address(number: int) -> Guest:
    return Guest(f"203.0.113.{number}")


async def test_wrong_printed_tokens_are_limited_and_right_ones_are_not(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OFF)
    for _ in range(3 * SIGN_IN_PER_ADDRESS.count):
        await accounts.local(accounts.tokens.local(), HOME)
    for _ in range(SIGN_IN_PER_ADDRESS.count):
        with pytest.raises(WrongCredentials):
            await accounts.local("wrong", HOME)
    with pytest.raises(RateLimited):
        await accounts.local(accounts.tokens.local(), HOME)
    await accounts.local(accounts.tokens.local(), ELSEWHERE)


async def test_unknown_and_known_emails_get_the_same_answer_for_the_same_work(small_world: SmallWorld) -> None:
    hasher = CountingHasher()
    accounts = accounts_of(small_world, OPEN, hasher)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    answers = []
    for email in ["aya@example.org", "nobody@example.org"]:
        before = hasher.verifications
        with pytest.raises(WrongCredentials) as refused:
            await accounts.sign_in(email, "not the password", HOME)
        answers.append((refused.value.code, refused.value.message, refused.value.details))
        assert hasher.verifications == before + 1
    assert answers[0] == answers[1]


@pytest.mark.parametrize("email", ["aya@example.org", "nobody@example.org"])
async def test_an_account_is_limited_whether_it_exists_or_not(small_world: SmallWorld, email: str) -> None:
    hasher = CountingHasher()
    accounts = accounts_of(small_world, OPEN, hasher)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    for number in range(SIGN_IN_PER_ACCOUNT.count):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in(email, "wrong", address(number))
    with pytest.raises(RateLimited) as refused:
        await accounts.sign_in(email.upper(), PASSWORD, ELSEWHERE)
    assert (refused.value.retry_after_s, refused.value.details["limit"]) == (60, "sign-in")
    assert hasher.verifications == SIGN_IN_PER_ACCOUNT.count
    small_world.clock.advance(59.999)
    with pytest.raises(RateLimited) as refused:
        await accounts.sign_in(email, "wrong", ELSEWHERE)
    assert refused.value.retry_after_s == 1
    small_world.clock.advance(0.001)
    with pytest.raises(WrongCredentials):
        await accounts.sign_in(email, "wrong", ELSEWHERE)


async def test_an_address_is_limited_over_all_accounts(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    for number in range(SIGN_IN_PER_ADDRESS.count):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in(f"user{number}@example.org", "wrong", Guest(f"2001:db8::{number:x}"))
    with pytest.raises(RateLimited) as refused:
        await accounts.sign_in("aya@example.org", PASSWORD, Guest("2001:db8::ffff"))
    assert refused.value.retry_after_s == 12
    await accounts.sign_in("aya@example.org", PASSWORD, HOME)
    small_world.clock.advance(12)
    await accounts.sign_in("aya@example.org", PASSWORD, Guest("2001:db8::ffff"))


async def test_sign_ins_that_succeed_do_not_count(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    for _ in range(SIGN_IN_PER_ACCOUNT.count - 1):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in("aya@example.org", "wrong", HOME)
    for _ in range(2 * SIGN_IN_PER_ADDRESS.count):
        await accounts.sign_in("aya@example.org", PASSWORD, HOME)
    with pytest.raises(WrongCredentials):
        await accounts.sign_in("aya@example.org", "wrong", HOME)
    with pytest.raises(RateLimited):
        await accounts.sign_in("aya@example.org", PASSWORD, HOME)


async def test_fifty_at_once_do_not_get_past_the_limit(small_world: SmallWorld) -> None:
    hasher = CountingHasher()
    accounts = accounts_of(small_world, OPEN, hasher)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    tries = [accounts.sign_in("aya@example.org", "wrong", address(number)) for number in range(50)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(answer) for answer in answers].count(WrongCredentials) == SIGN_IN_PER_ACCOUNT.count
    assert [type(answer) for answer in answers].count(RateLimited) == 50 - SIGN_IN_PER_ACCOUNT.count
    assert hasher.verifications == SIGN_IN_PER_ACCOUNT.count


async def test_sign_ups_are_limited_per_address(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    for number in range(SIGN_UP_PER_ADDRESS.count):
        await accounts.sign_up(form_of(f"user{number}@example.org"), HOME)
    with pytest.raises(RateLimited):
        await accounts.sign_up(form_of("late@example.org"), HOME)
    await accounts.sign_up(form_of("late@example.org"), ELSEWHERE)


async def test_a_wrong_present_password_changes_nothing_and_is_limited(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    here = await accounts.sign_up(form_of("aya@example.org"), HOME)
    for _ in range(SIGN_IN_PER_ACCOUNT.count):
        with pytest.raises(Invalid, match="current password"):
            await accounts.change_password(visit_of(small_world, here), "wrong", "a new password")
    with pytest.raises(RateLimited):
        await accounts.change_password(visit_of(small_world, here), PASSWORD, "a new password")
    small_world.clock.advance(60)
    with pytest.raises(Invalid, match="at least"):
        await accounts.change_password(visit_of(small_world, here), PASSWORD, "short")
    await accounts.sign_in("aya@example.org", PASSWORD, HOME)
