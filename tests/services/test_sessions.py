"""Sessions: listed, ended at once, refreshed once per token, and swept when they have expired."""

from __future__ import annotations

import asyncio

import pytest

from kira.domain.accounts import SignedIn
from kira.domain.errors import NotFound, Unauthenticated
from kira.domain.guests import Guest
from kira.domain.ids import new_id
from kira.domain.limits import ACCESS_TOKEN_SECONDS, SESSION_SECONDS, SIGN_IN_PER_ACCOUNT
from kira.services.accounts import Accounts
from kira.services.sessions import Sessions
from kira.testing.visiting import PASSWORD, SmallWorld, accounts_of, form_of, visit_of

HOME = Guest("192.0.2.1", "Firefox on Linux")
PHONE = Guest("192.0.2.1", "Safari on iPhone")


@pytest.fixture
def accounts(small_world: SmallWorld) -> Accounts:
    return accounts_of(small_world)


@pytest.fixture
def sessions(small_world: SmallWorld) -> Sessions:
    return Sessions(small_world.database, small_world.clock, small_world.vault)


@pytest.fixture
async def aya(accounts: Accounts) -> SignedIn:
    return await accounts.sign_up(form_of("aya@example.org"), HOME)


@pytest.fixture
async def bo(accounts: Accounts, aya: SignedIn) -> SignedIn:
    return await accounts.sign_up(form_of("bo@example.org"), HOME)


async def test_a_user_sees_their_own_sessions_newest_first(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions, aya: SignedIn, bo: SignedIn
) -> None:
    small_world.clock.advance(60)
    phone = await accounts.sign_in("aya@example.org", PASSWORD, PHONE)
    found = (await sessions.page(visit_of(small_world, aya), 50)).items
    assert [(one.id, one.device, one.current) for one in found] == [
        (phone.session_id, "Safari on iPhone", False),
        (aya.session_id, "Firefox on Linux", True),
    ]
    assert found[0].created_at == found[0].seen_at == small_world.clock.now()
    assert [one.id for one in (await sessions.page(visit_of(small_world, bo), 50)).items] == [bo.session_id]


async def test_sessions_come_in_pages(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions, aya: SignedIn
) -> None:
    made = [aya, *[await accounts.sign_in("aya@example.org", PASSWORD, PHONE) for _ in range(4)]]
    visit = visit_of(small_world, aya)
    first = await sessions.page(visit, 3)
    second = await sessions.page(visit, 3, first.next)
    assert [one.id for one in [*first.items, *second.items]] == [one.session_id for one in reversed(made)]
    assert (first.next, second.next) == (first.items[-1].id, None)


async def test_an_ended_session_is_over_at_once(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions, aya: SignedIn
) -> None:
    phone = await accounts.sign_in("aya@example.org", PASSWORD, PHONE)
    assert await accounts.me(visit_of(small_world, phone)) == aya.user
    await sessions.finish(visit_of(small_world, aya), phone.session_id)
    with pytest.raises(Unauthenticated, match="ended"):
        await accounts.me(visit_of(small_world, phone))
    with pytest.raises(Unauthenticated):
        await accounts.refresh(phone.refresh_token)
    assert [one.id for one in (await sessions.page(visit_of(small_world, aya), 50)).items] == [aya.session_id]


async def test_signing_out_ends_this_session_only(small_world: SmallWorld, accounts: Accounts, aya: SignedIn) -> None:
    phone = await accounts.sign_in("aya@example.org", PASSWORD, PHONE)
    await accounts.sign_out(visit_of(small_world, phone))
    with pytest.raises(Unauthenticated):
        await accounts.me(visit_of(small_world, phone))
    assert await accounts.me(visit_of(small_world, aya)) == aya.user


async def test_unknown_ended_and_foreign_sessions_are_the_same_nothing(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions, aya: SignedIn, bo: SignedIn
) -> None:
    phone = await accounts.sign_in("aya@example.org", PASSWORD, PHONE)
    await sessions.finish(visit_of(small_world, aya), phone.session_id)
    answers = set()
    for session_id in [new_id(), phone.session_id, bo.session_id, "", "x", "\x00", "' OR 1=1 --"]:
        with pytest.raises(NotFound) as refused:
            await sessions.finish(visit_of(small_world, aya), session_id)
        answers.add((refused.value.code, refused.value.message, tuple(refused.value.details)))
    assert len(answers) == 1
    assert await accounts.me(visit_of(small_world, bo)) == bo.user


async def test_a_refresh_gives_a_new_access_token_and_a_new_refresh_token(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions, aya: SignedIn
) -> None:
    now = aya
    for _ in range(5):
        small_world.clock.advance(ACCESS_TOKEN_SECONDS)
        fresh = await accounts.refresh(now.refresh_token)
        assert fresh.refresh_token != now.refresh_token
        assert (fresh.user, fresh.session_id) == (aya.user, aya.session_id)
        assert accounts.tokens.read_access(fresh.access_token).session_id == aya.session_id
        now = fresh
    seen = (await sessions.page(visit_of(small_world, now), 50)).items[0]
    assert seen.seen_at == small_world.clock.now() > seen.created_at


@pytest.mark.parametrize("rotations", [1, 2, 5])
async def test_any_spent_refresh_token_ends_its_session(
    small_world: SmallWorld, accounts: Accounts, aya: SignedIn, bo: SignedIn, rotations: int
) -> None:
    phone = await accounts.sign_in("aya@example.org", PASSWORD, PHONE)
    now = aya
    for _ in range(rotations):
        now = await accounts.refresh(now.refresh_token)
    with pytest.raises(Unauthenticated, match="used twice"):
        await accounts.refresh(aya.refresh_token)
    with pytest.raises(Unauthenticated, match="ended"):
        await accounts.refresh(now.refresh_token)
    with pytest.raises(Unauthenticated):
        await accounts.me(visit_of(small_world, now))
    await accounts.refresh(phone.refresh_token)
    await accounts.refresh(bo.refresh_token)


async def test_of_many_that_refresh_at_once_one_is_served(accounts: Accounts, aya: SignedIn) -> None:
    tries = [accounts.refresh(aya.refresh_token) for _ in range(10)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    served = [answer for answer in answers if isinstance(answer, SignedIn)]
    assert len(served) == 1
    with pytest.raises(Unauthenticated):
        await accounts.refresh(served[0].refresh_token)


async def test_a_session_that_is_not_refreshed_expires(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions, aya: SignedIn
) -> None:
    small_world.clock.advance(SESSION_SECONDS - 1)
    aya = await accounts.refresh(aya.refresh_token)
    small_world.clock.advance(SESSION_SECONDS)
    with pytest.raises(Unauthenticated):
        await accounts.me(visit_of(small_world, aya))
    with pytest.raises(Unauthenticated, match="has ended"):
        await accounts.refresh(aya.refresh_token)


async def test_a_made_up_refresh_token_ends_nothing(small_world: SmallWorld, accounts: Accounts, aya: SignedIn) -> None:
    theirs = accounts_of(small_world).tokens.new_refresh(aya.user.id, new_id()).text
    for token in ["", "x", aya.refresh_token[:-1], aya.access_token, theirs, "\ud800"]:
        with pytest.raises(Unauthenticated):
            await accounts.refresh(token)
    await accounts.refresh(aya.refresh_token)


async def test_sweeping_forgets_what_has_expired_and_nothing_else(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions, aya: SignedIn
) -> None:
    await accounts.invite(visit_of(small_world, aya))
    await accounts.sign_in("aya@example.org", PASSWORD, PHONE)
    assert await sessions.sweep() == 0
    small_world.clock.advance(SESSION_SECONDS - 1)
    aya = await accounts.refresh(aya.refresh_token)
    small_world.clock.advance(1)
    assert await sessions.sweep() == 1
    assert await accounts.me(visit_of(small_world, aya)) == aya.user
    assert await sessions.sweep() == 0


async def test_sweeping_does_not_forgive_attempts(
    small_world: SmallWorld, accounts: Accounts, sessions: Sessions
) -> None:
    await accounts.add_user(form_of("aya@example.org"))
    tries = [accounts.sign_in("aya@example.org", "wrong", HOME) for _ in range(SIGN_IN_PER_ACCOUNT.count)]
    await asyncio.gather(*tries, return_exceptions=True)
    await sessions.sweep()
    answers = await asyncio.gather(accounts.sign_in("aya@example.org", PASSWORD, HOME), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["RateLimited"]
