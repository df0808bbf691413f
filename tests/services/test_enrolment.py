"""Enrolment: the first account keeps everything of the local user, the others come as they may."""

from __future__ import annotations

import asyncio

import pytest

from kira.domain.accounts import AccountsMode, Role
from kira.domain.errors import Conflict, Forbidden, Invalid, Unauthenticated
from kira.domain.guests import Guest
from kira.domain.limits import INVITATION_SECONDS
from kira.domain.moments import SECOND
from kira.services.settings import Settings, SettingsChange
from kira.testing.visiting import PASSWORD, SmallWorld, accounts_of, form_of, visit_of

HOME = Guest("192.0.2.1", "Firefox on Linux")
ELSEWHERE = Guest("198.51.100.7", "Chrome on Android")
OFF, INVITE, OPEN = AccountsMode.OFF, AccountsMode.INVITE, AccountsMode.OPEN


@pytest.mark.parametrize("way", ["sign-up", "terminal"])
async def test_the_first_account_keeps_everything_of_the_local_user(small_world: SmallWorld, way: str) -> None:
    alone = accounts_of(small_world, OFF)
    before = await alone.local(alone.tokens.local(), HOME)
    settings = Settings(small_world.database, small_world.clock)
    await settings.change(visit_of(small_world, before), SettingsChange(system_prompt="Be brief.", theme="dark"))
    if way == "sign-up":
        user = (await accounts_of(small_world, OPEN).sign_up(form_of("aya@example.org"), ELSEWHERE)).user
    else:
        user = await alone.add_user(form_of("aya@example.org"))
    assert (user.id, user.email, user.name, user.role) == (before.user.id, "aya@example.org", "aya", Role.ADMIN)
    after = await alone.sign_in("aya@example.org", PASSWORD, HOME)
    kept = await settings.get(visit_of(small_world, after))
    assert (kept.system_prompt, kept.theme) == ("Be brief.", "dark")
    with pytest.raises(Unauthenticated):
        await alone.me(visit_of(small_world, before))
    with pytest.raises(Unauthenticated):
        await alone.refresh(before.refresh_token)
    with pytest.raises(Forbidden):
        await alone.local(alone.tokens.local(), HOME)


async def test_the_first_account_keeps_a_name_that_was_chosen(small_world: SmallWorld) -> None:
    alone = accounts_of(small_world, OFF)
    await alone.change(visit_of(small_world, await alone.local(alone.tokens.local(), HOME)), name="Aya N.")
    assert (await alone.add_user(form_of("aya@example.org"))).name == "Aya N."
    assert (await alone.add_user(form_of("bo@example.org", name="Bo"))).name == "Bo"


async def test_an_account_from_the_terminal_turns_accounts_on(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OFF)
    first = await accounts.add_user(form_of("aya@example.org"))
    second = await accounts.add_user(form_of("bo@example.org"))
    third = await accounts.add_user(form_of("cy@example.org"), admin=True)
    assert [first.role, second.role, third.role] == [Role.ADMIN, Role.USER, Role.ADMIN]
    options = await accounts.options()
    assert (options.accounts, options.sign_up) == (INVITE, False)
    assert (await accounts.sign_in("bo@example.org", PASSWORD, HOME)).user == second
    with pytest.raises(Forbidden, match="invitation"):
        await accounts.sign_up(form_of("dee@example.org"), HOME)


async def test_the_first_to_sign_up_is_the_only_admin(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    assert (await accounts.options()).sign_up
    forms = [form_of(f"user{number}@example.org") for number in range(8)]
    made = await asyncio.gather(*(accounts.sign_up(form, HOME) for form in forms))
    assert sorted(signed_in.user.role for signed_in in made) == [Role.ADMIN, *[Role.USER] * 7]


async def test_one_email_is_one_account(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, OPEN)
    tries = [accounts.sign_up(form_of(email), HOME) for email in ["aya@example.org", " AYA@example.ORG "]]
    made = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(one).__name__ for one in made) == ["Conflict", "SignedIn"]
    with pytest.raises(Conflict, match="already an account"):
        await accounts.add_user(form_of("aya@example.org"))


@pytest.mark.parametrize(
    ("email", "password", "name", "path"),
    [
        ("nobody", PASSWORD, None, "email"),
        ("aya@example.org", "short", None, "password"),
        ("aya@example.org", "x" * 257, None, "password"),
        ("aya@example.org", PASSWORD, " \n ", "name"),
        ("aya\ud800@example.org", PASSWORD, None, "email"),
        ("aya@example.org", PASSWORD + "\ud800", None, "password"),
        ("aya@example.org", PASSWORD, "A\ud800", "name"),
    ],
)
async def test_a_wrong_form_is_refused_with_its_field(
    small_world: SmallWorld, email: str, password: str, name: str | None, path: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await accounts_of(small_world).sign_up(form_of(email, password=password, name=name), HOME)
    assert [field["path"] for field in refused.value.details["fields"]] == [path]  # type: ignore[attr-defined]  # details are any objects


async def test_an_invitation_makes_one_account(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, INVITE)
    assert (await accounts.options()).sign_up
    admin = await accounts.sign_up(form_of("aya@example.org"), HOME)
    assert not (await accounts.options()).sign_up
    token = (await accounts.invite(visit_of(small_world, admin))).token
    tries = [accounts.sign_up(form_of(f"user{number}@example.org", invitation=token), HOME) for number in range(5)]
    made = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(one).__name__ for one in made) == ["Forbidden"] * 4 + ["SignedIn"]


async def test_an_invitation_is_for_its_email_and_for_a_time(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, INVITE)
    admin = await accounts.sign_up(form_of("aya@example.org"), HOME)
    invitation = await accounts.invite(visit_of(small_world, admin), "Bo@example.org")
    assert invitation.expires_at == small_world.clock.now() + INVITATION_SECONDS * SECOND
    late = await accounts.invite(visit_of(small_world, admin))
    wrong = [form_of("cy@example.org", invitation=token) for token in (invitation.token, "made up", "", "\ud800")]
    for form in [form_of("bo@example.org"), *wrong]:
        with pytest.raises(Forbidden, match="invitation"):
            await accounts.sign_up(form, HOME)
    assert (await accounts.sign_up(form_of("bo@example.org", invitation=invitation.token), HOME)).user.role is Role.USER
    small_world.clock.advance(INVITATION_SECONDS)
    with pytest.raises(Forbidden, match="expired"):
        await accounts.sign_up(form_of("cy@example.org", invitation=late.token), HOME)


async def test_a_refused_sign_up_leaves_its_invitation_as_it_was(small_world: SmallWorld) -> None:
    accounts = accounts_of(small_world, INVITE)
    admin = await accounts.sign_up(form_of("aya@example.org"), HOME)
    token = (await accounts.invite(visit_of(small_world, admin))).token
    with pytest.raises(Conflict):
        await accounts.sign_up(form_of("aya@example.org", invitation=token), HOME)
    await accounts.sign_up(form_of("bo@example.org", invitation=token), HOME)


async def test_only_admins_invite_and_only_while_accounts_are_on(small_world: SmallWorld) -> None:
    alone = accounts_of(small_world, OFF)
    with pytest.raises(Conflict, match="Accounts are off"):
        await alone.invite(visit_of(small_world, await alone.local(alone.tokens.local(), HOME)))
    accounts = accounts_of(small_world, OPEN)
    admin, user = [await accounts.sign_up(form_of(f"{name}@example.org"), HOME) for name in ("aya", "bo")]
    assert (await accounts.invite(visit_of(small_world, admin))).token
    with pytest.raises(Forbidden):
        await accounts.invite(visit_of(small_world, user))
