"""Accounts: one user without them, the first account keeps everything, and guests learn nothing."""

from __future__ import annotations

import asyncio

import pytest

from kira.domain.accounts import LOCAL_NAME, AccountsMode, Role
from kira.domain.errors import Conflict, Forbidden, Invalid, RateLimited, Unauthenticated, WrongCredentials
from kira.domain.guests import Guest
from kira.domain.limits import INVITATION_SECONDS, SIGN_IN_PER_ACCOUNT, SIGN_IN_PER_ADDRESS, SIGN_UP_PER_ADDRESS
from kira.domain.moments import SECOND
from kira.services.passwords import MEMORY_KIB, Passwords, argon2id, dummy_hash
from kira.services.settings import Settings, SettingsChange
from kira.testing.hashing import CountingHasher
from kira.testing.visiting import PASSWORD, Place, accounts_of, form_of, visit_of

HOME = Guest("192.0.2.1", "Firefox on Linux")
ELSEWHERE = Guest("198.51.100.7", "Chrome on Android")
OFF, INVITE, OPEN = AccountsMode.OFF, AccountsMode.INVITE, AccountsMode.OPEN


def address(number: int) -> Guest:
    return Guest(f"203.0.113.{number}")


async def test_without_accounts_there_is_one_user_made_once(world: Place) -> None:
    accounts = accounts_of(world, OFF)
    made = await asyncio.gather(*(accounts.local_user() for _ in range(5)))
    assert len({user.id for user in made}) == 1
    assert (made[0].email, made[0].name, made[0].role) == (None, LOCAL_NAME, Role.ADMIN)
    options = await accounts.options()
    assert (options.accounts, options.sign_up) == (OFF, False)


async def test_the_printed_token_lets_in_the_local_user(world: Place) -> None:
    accounts = accounts_of(world, OFF)
    signed_in = await accounts.local(accounts.tokens.local(), HOME)
    assert await accounts.me(visit_of(world, signed_in)) == await accounts.local_user()
    for token in ["", "wrong", accounts.tokens.local() + "x", "\ud800"]:
        with pytest.raises(WrongCredentials):
            await accounts.local(token, HOME)


async def test_wrong_printed_tokens_are_limited_and_right_ones_are_not(world: Place) -> None:
    accounts = accounts_of(world, OFF)
    for _ in range(3 * SIGN_IN_PER_ADDRESS.count):
        await accounts.local(accounts.tokens.local(), HOME)
    for _ in range(SIGN_IN_PER_ADDRESS.count):
        with pytest.raises(WrongCredentials):
            await accounts.local("wrong", HOME)
    with pytest.raises(RateLimited):
        await accounts.local(accounts.tokens.local(), HOME)
    await accounts.local(accounts.tokens.local(), ELSEWHERE)


async def test_while_accounts_are_off_nobody_signs_up_or_in(world: Place) -> None:
    accounts = accounts_of(world, OFF)
    with pytest.raises(Forbidden, match="kira users add"):
        await accounts.sign_up(form_of("aya@example.org"), HOME)
    with pytest.raises(Forbidden, match="KIRA_ACCOUNTS"):
        await accounts.sign_in("aya@example.org", PASSWORD, HOME)


@pytest.mark.parametrize("mode", [INVITE, OPEN])
async def test_while_accounts_are_on_the_printed_token_is_refused(world: Place, mode: AccountsMode) -> None:
    accounts = accounts_of(world, mode)
    with pytest.raises(Forbidden, match="e-mail"):
        await accounts.local(accounts.tokens.local(), HOME)


@pytest.mark.parametrize("way", ["sign-up", "terminal"])
async def test_the_first_account_keeps_everything_of_the_local_user(world: Place, way: str) -> None:
    alone = accounts_of(world, OFF)
    before = await alone.local(alone.tokens.local(), HOME)
    settings = Settings(world.database, world.clock)
    await settings.change(visit_of(world, before), SettingsChange(system_prompt="Be brief.", theme="dark"))
    if way == "sign-up":
        user = (await accounts_of(world, OPEN).sign_up(form_of("aya@example.org"), ELSEWHERE)).user
    else:
        user = await alone.add_user(form_of("aya@example.org"))
    assert (user.id, user.email, user.name, user.role) == (before.user.id, "aya@example.org", "aya", Role.ADMIN)
    after = await alone.sign_in("aya@example.org", PASSWORD, HOME)
    kept = await settings.get(visit_of(world, after))
    assert (kept.system_prompt, kept.theme) == ("Be brief.", "dark")
    with pytest.raises(Unauthenticated):
        await alone.me(visit_of(world, before))
    with pytest.raises(Unauthenticated):
        await alone.refresh(before.refresh_token)
    with pytest.raises(Forbidden):
        await alone.local(alone.tokens.local(), HOME)


async def test_the_first_account_keeps_a_name_that_was_chosen(world: Place) -> None:
    alone = accounts_of(world, OFF)
    await alone.change(visit_of(world, await alone.local(alone.tokens.local(), HOME)), name="Aya N.")
    assert (await alone.add_user(form_of("aya@example.org"))).name == "Aya N."
    assert (await alone.add_user(form_of("bo@example.org", name="Bo"))).name == "Bo"


async def test_an_account_from_the_terminal_turns_accounts_on(world: Place) -> None:
    accounts = accounts_of(world, OFF)
    first = await accounts.add_user(form_of("aya@example.org"))
    second = await accounts.add_user(form_of("bo@example.org"))
    third = await accounts.add_user(form_of("cy@example.org"), admin=True)
    assert [first.role, second.role, third.role] == [Role.ADMIN, Role.USER, Role.ADMIN]
    options = await accounts.options()
    assert (options.accounts, options.sign_up) == (INVITE, False)
    assert (await accounts.sign_in("bo@example.org", PASSWORD, HOME)).user == second
    with pytest.raises(Forbidden, match="invitation"):
        await accounts.sign_up(form_of("dee@example.org"), HOME)


async def test_the_first_to_sign_up_is_the_only_admin(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
    assert (await accounts.options()).sign_up
    forms = [form_of(f"user{number}@example.org") for number in range(8)]
    made = await asyncio.gather(*(accounts.sign_up(form, HOME) for form in forms))
    assert sorted(signed_in.user.role for signed_in in made) == [Role.ADMIN, *[Role.USER] * 7]


async def test_one_email_is_one_account(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
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
    world: Place, email: str, password: str, name: str | None, path: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await accounts_of(world).sign_up(form_of(email, password=password, name=name), HOME)
    assert [field["path"] for field in refused.value.details["fields"]] == [path]  # type: ignore[attr-defined]  # details are any objects


async def test_an_invitation_makes_one_account(world: Place) -> None:
    accounts = accounts_of(world, INVITE)
    assert (await accounts.options()).sign_up
    admin = await accounts.sign_up(form_of("aya@example.org"), HOME)
    assert not (await accounts.options()).sign_up
    token = (await accounts.invite(visit_of(world, admin))).token
    tries = [accounts.sign_up(form_of(f"user{number}@example.org", invitation=token), HOME) for number in range(5)]
    made = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(one).__name__ for one in made) == ["Forbidden"] * 4 + ["SignedIn"]


async def test_an_invitation_is_for_its_email_and_for_a_time(world: Place) -> None:
    accounts = accounts_of(world, INVITE)
    admin = await accounts.sign_up(form_of("aya@example.org"), HOME)
    invitation = await accounts.invite(visit_of(world, admin), "Bo@example.org")
    assert invitation.expires_at == world.clock.now() + INVITATION_SECONDS * SECOND
    late = await accounts.invite(visit_of(world, admin))
    wrong = [form_of("cy@example.org", invitation=token) for token in (invitation.token, "made up", "", "\ud800")]
    for form in [form_of("bo@example.org"), *wrong]:
        with pytest.raises(Forbidden, match="invitation"):
            await accounts.sign_up(form, HOME)
    assert (await accounts.sign_up(form_of("bo@example.org", invitation=invitation.token), HOME)).user.role is Role.USER
    world.clock.advance(INVITATION_SECONDS)
    with pytest.raises(Forbidden, match="expired"):
        await accounts.sign_up(form_of("cy@example.org", invitation=late.token), HOME)


async def test_a_refused_sign_up_leaves_its_invitation_as_it_was(world: Place) -> None:
    accounts = accounts_of(world, INVITE)
    admin = await accounts.sign_up(form_of("aya@example.org"), HOME)
    token = (await accounts.invite(visit_of(world, admin))).token
    with pytest.raises(Conflict):
        await accounts.sign_up(form_of("aya@example.org", invitation=token), HOME)
    assert await accounts.sign_up(form_of("bo@example.org", invitation=token), HOME)


async def test_only_admins_invite_and_only_while_accounts_are_on(world: Place) -> None:
    alone = accounts_of(world, OFF)
    with pytest.raises(Conflict, match="Accounts are off"):
        await alone.invite(visit_of(world, await alone.local(alone.tokens.local(), HOME)))
    accounts = accounts_of(world, OPEN)
    admin, user = [await accounts.sign_up(form_of(f"{name}@example.org"), HOME) for name in ("aya", "bo")]
    assert (await accounts.invite(visit_of(world, admin))).token
    with pytest.raises(Forbidden):
        await accounts.invite(visit_of(world, user))


async def test_unknown_and_known_emails_get_the_same_answer_for_the_same_work(world: Place) -> None:
    hasher = CountingHasher()
    accounts = accounts_of(world, OPEN, hasher)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    answers = []
    for email in ["aya@example.org", "nobody@example.org"]:
        before = hasher.verifications
        with pytest.raises(WrongCredentials) as refused:
            await accounts.sign_in(email, "not the password", HOME)
        answers.append((refused.value.code, refused.value.message, refused.value.details))
        assert hasher.verifications == before + 1
    assert answers[0] == answers[1]


def test_the_dummy_costs_what_every_hash_costs() -> None:
    hasher = argon2id()
    real, dummy = hasher.hash("x"), dummy_hash(hasher)
    assert real.split("$")[:4] == dummy.split("$")[:4]
    assert [len(part) for part in real.split("$")] == [len(part) for part in dummy.split("$")]
    assert f"m={MEMORY_KIB}," in real
    assert not hasher.check_needs_rehash(dummy)


@pytest.mark.parametrize("email", ["aya@example.org", "nobody@example.org"])
async def test_an_account_is_limited_whether_it_exists_or_not(world: Place, email: str) -> None:
    hasher = CountingHasher()
    accounts = accounts_of(world, OPEN, hasher)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    for number in range(SIGN_IN_PER_ACCOUNT.count):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in(email, "wrong", address(number))
    with pytest.raises(RateLimited) as refused:
        await accounts.sign_in(email.upper(), PASSWORD, ELSEWHERE)
    assert (refused.value.retry_after_s, refused.value.details["limit"]) == (60, "sign-in")
    assert hasher.verifications == SIGN_IN_PER_ACCOUNT.count
    world.clock.advance(59.999)
    with pytest.raises(RateLimited) as refused:
        await accounts.sign_in(email, "wrong", ELSEWHERE)
    assert refused.value.retry_after_s == 1
    world.clock.advance(0.001)
    with pytest.raises(WrongCredentials):
        await accounts.sign_in(email, "wrong", ELSEWHERE)


async def test_an_address_is_limited_over_all_accounts(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    for number in range(SIGN_IN_PER_ADDRESS.count):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in(f"user{number}@example.org", "wrong", Guest(f"2001:db8::{number:x}"))
    with pytest.raises(RateLimited) as refused:
        await accounts.sign_in("aya@example.org", PASSWORD, Guest("2001:db8::ffff"))
    assert refused.value.retry_after_s == 12
    assert await accounts.sign_in("aya@example.org", PASSWORD, HOME)
    world.clock.advance(12)
    assert await accounts.sign_in("aya@example.org", PASSWORD, Guest("2001:db8::ffff"))


async def test_sign_ins_that_succeed_do_not_count(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
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


async def test_fifty_at_once_do_not_get_past_the_limit(world: Place) -> None:
    hasher = CountingHasher()
    accounts = accounts_of(world, OPEN, hasher)
    await accounts.sign_up(form_of("aya@example.org"), HOME)
    tries = [accounts.sign_in("aya@example.org", "wrong", address(number)) for number in range(50)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(answer) for answer in answers].count(WrongCredentials) == SIGN_IN_PER_ACCOUNT.count
    assert [type(answer) for answer in answers].count(RateLimited) == 50 - SIGN_IN_PER_ACCOUNT.count
    assert hasher.verifications == SIGN_IN_PER_ACCOUNT.count


async def test_sign_ups_are_limited_per_address(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
    for number in range(SIGN_UP_PER_ADDRESS.count):
        await accounts.sign_up(form_of(f"user{number}@example.org"), HOME)
    with pytest.raises(RateLimited):
        await accounts.sign_up(form_of("late@example.org"), HOME)
    assert await accounts.sign_up(form_of("late@example.org"), ELSEWHERE)


async def test_a_profile_can_be_changed(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
    aya, bo = [await accounts.sign_up(form_of(f"{name}@example.org"), HOME) for name in ("aya", "bo")]
    changed = await accounts.change(visit_of(world, bo), name=" Bo  Lee ", email="Bo.Lee@example.org")
    assert (changed.id, changed.name, changed.email) == (bo.user.id, "Bo Lee", "bo.lee@example.org")
    assert await accounts.change(visit_of(world, bo)) == changed == await accounts.me(visit_of(world, bo))
    assert await accounts.me(visit_of(world, aya)) == aya.user
    with pytest.raises(Conflict, match="already an account"):
        await accounts.change(visit_of(world, bo), email="aya@example.org")
    assert (await accounts.sign_in("bo.lee@example.org", PASSWORD, HOME)).user == changed


async def test_the_local_user_has_a_name_but_no_email_or_password_to_change(world: Place) -> None:
    accounts = accounts_of(world, OFF)
    visit = visit_of(world, await accounts.local(accounts.tokens.local(), HOME))
    assert (await accounts.change(visit, name="Aya")).name == "Aya"
    with pytest.raises(Conflict, match="Accounts are off"):
        await accounts.change(visit, name="Bo", email="aya@example.org")
    with pytest.raises(Conflict, match="Accounts are off"):
        await accounts.change_password(visit, "", "a new password")
    assert (await accounts.me(visit)).name == "Aya"
    assert (await accounts.options()).accounts is OFF


async def test_a_new_password_ends_the_other_sessions(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
    here = await accounts.sign_up(form_of("aya@example.org"), HOME)
    there = await accounts.sign_in("aya@example.org", PASSWORD, ELSEWHERE)
    other = await accounts.sign_up(form_of("bo@example.org"), HOME)
    await accounts.change_password(visit_of(world, here), PASSWORD, "a new password")
    assert await accounts.me(visit_of(world, here)) == here.user
    assert await accounts.me(visit_of(world, other)) == other.user
    with pytest.raises(Unauthenticated):
        await accounts.me(visit_of(world, there))
    with pytest.raises(Unauthenticated):
        await accounts.refresh(there.refresh_token)
    with pytest.raises(WrongCredentials):
        await accounts.sign_in("aya@example.org", PASSWORD, HOME)
    assert await accounts.sign_in("aya@example.org", "a new password", HOME)


async def test_a_wrong_present_password_changes_nothing_and_is_limited(world: Place) -> None:
    accounts = accounts_of(world, OPEN)
    here = await accounts.sign_up(form_of("aya@example.org"), HOME)
    for _ in range(SIGN_IN_PER_ACCOUNT.count):
        with pytest.raises(Invalid, match="present password"):
            await accounts.change_password(visit_of(world, here), "wrong", "a new password")
    with pytest.raises(RateLimited):
        await accounts.change_password(visit_of(world, here), PASSWORD, "a new password")
    world.clock.advance(60)
    with pytest.raises(Invalid, match="at least"):
        await accounts.change_password(visit_of(world, here), PASSWORD, "short")
    assert await accounts.sign_in("aya@example.org", PASSWORD, HOME)


async def test_a_hash_of_older_parameters_is_made_anew_at_sign_in(world: Place) -> None:
    await accounts_of(world, OPEN, CountingHasher(passes=1)).sign_up(form_of("aya@example.org"), HOME)
    newer = CountingHasher(passes=2)
    accounts = accounts_of(world, OPEN, newer)
    for _ in range(2):
        assert await accounts.sign_in("aya@example.org", PASSWORD, HOME)
    stored = (await world.database.system.query("accounts.by_email", {"email": "aya@example.org"}))[0]
    assert not newer.check_needs_rehash(stored["password_hash"])


async def test_the_real_parameters_work() -> None:
    passwords = Passwords()
    made = await passwords.hash("jose\u0301's secret")
    assert await passwords.matches(made, "jos\u00e9's secret")
    assert not await passwords.matches(made, "another")
    assert not await passwords.matches(None, "another")
    assert not await passwords.matches("no hash", "another")
