"""Accounts: one user without them, and what users change about themselves."""

from __future__ import annotations

import asyncio

import pytest

from kira.domain.accounts import LOCAL_NAME, AccountsMode, Role
from kira.domain.errors import Conflict, Forbidden, Unauthenticated, WrongCredentials
from kira.domain.guests import Guest
from kira.testing.visiting import PASSWORD, SmallWorld, accounts_of, form_of, visit_of

HOME = Guest("192.0.2.1", "Firefox on Linux")
ELSEWHERE = Guest("198.51.100.7", "Chrome on Android")
OFF, INVITE, OPEN = AccountsMode.OFF, AccountsMode.INVITE, AccountsMode.OPEN


async def test_without_accounts_there_is_one_user_made_once(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OFF)
    made = await asyncio.gather(*(accounts.local_user() for _ in range(5)))
    assert len({user.id for user in made}) == 1
    assert (made[0].email, made[0].name, made[0].role) == (None, LOCAL_NAME, Role.ADMIN)
    options = await accounts.options()
    assert (options.accounts, options.sign_up) == (OFF, False)


async def test_the_printed_token_lets_in_the_local_user(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OFF)
    signed_in = await accounts.local(accounts.tokens.local(), HOME)
    assert await accounts.me(visit_of(small_world, signed_in)) == await accounts.local_user()
    for token in ["", "wrong", accounts.tokens.local() + "x", "\ud800"]:
        with pytest.raises(WrongCredentials):
            await accounts.local(token, HOME)


async def test_while_accounts_are_off_nobody_signs_up_or_in(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OFF)
    with pytest.raises(Forbidden, match="kira users add"):
        await accounts.sign_up(form_of("aya@example.org"), HOME)
    with pytest.raises(Forbidden, match="KIRA_ACCOUNTS"):
        await accounts.sign_in("aya@example.org", PASSWORD, HOME)


@pytest.mark.parametrize("mode", [INVITE, OPEN])
async def test_while_accounts_are_on_the_printed_token_is_refused(small_world: SmallWorld, mode: AccountsMode) -> None:
    accounts = accounts_of(small_world, mode)
    with pytest.raises(Forbidden, match="e-mail"):
        await accounts.local(accounts.tokens.local(), HOME)


async def test_a_profile_can_be_changed(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    aya, bo = [await accounts.sign_up(form_of(f"{name}@example.org"), HOME) for name in ("aya", "bo")]
    changed = await accounts.change(visit_of(small_world, bo), name=" Bo  Lee ", email="Bo.Lee@example.org")
    assert (changed.id, changed.name, changed.email) == (bo.user.id, "Bo Lee", "bo.lee@example.org")
    assert await accounts.change(visit_of(small_world, bo)) == changed == await accounts.me(visit_of(small_world, bo))
    assert await accounts.me(visit_of(small_world, aya)) == aya.user
    with pytest.raises(Conflict, match="already an account"):
        await accounts.change(visit_of(small_world, bo), email="aya@example.org")
    assert (await accounts.sign_in("bo.lee@example.org", PASSWORD, HOME)).user == changed


async def test_the_local_user_has_a_name_but_no_email_or_password_to_change(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OFF)
    visit = visit_of(small_world, await accounts.local(accounts.tokens.local(), HOME))
    assert (await accounts.change(visit, name="Aya")).name == "Aya"
    with pytest.raises(Conflict, match="Accounts are off"):
        await accounts.change(visit, name="Bo", email="aya@example.org")
    with pytest.raises(Conflict, match="Accounts are off"):
        await accounts.change_password(visit, "", "a new password")
    assert (await accounts.me(visit)).name == "Aya"
    assert (await accounts.options()).accounts is OFF


async def test_a_new_password_ends_the_other_sessions(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    here = await accounts.sign_up(form_of("aya@example.org"), HOME)
    there = await accounts.sign_in("aya@example.org", PASSWORD, ELSEWHERE)
    other = await accounts.sign_up(form_of("bo@example.org"), HOME)
    await accounts.change_password(visit_of(small_world, here), PASSWORD, "a new password")
    assert await accounts.me(visit_of(small_world, here)) == here.user
    assert await accounts.me(visit_of(small_world, other)) == other.user
    with pytest.raises(Unauthenticated):
        await accounts.me(visit_of(small_world, there))
    with pytest.raises(Unauthenticated):
        await accounts.refresh(there.refresh_token)
    with pytest.raises(WrongCredentials):
        await accounts.sign_in("aya@example.org", PASSWORD, HOME)
    await accounts.sign_in("aya@example.org", "a new password", HOME)
