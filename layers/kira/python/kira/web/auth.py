"""Accounts, sessions and settings over HTTP."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated

from fastapi import Cookie, Depends, Query, Request, Response

from kira import __version__
from kira.domain.accounts import Session, SignedIn, User
from kira.domain.conversations import Page
from kira.domain.errors import Unauthenticated
from kira.domain.guests import Guest, device_name
from kira.domain.limits import PAGE_ITEMS_DEFAULT, SESSION_SECONDS
from kira.services.enrolment import Form
from kira.services.settings import UserSettings
from kira.web.areas import routes_of
from kira.web.schemas import Before, Limit, PageShown
from kira.web.schemas_auth import (
    Credentials,
    InvitationShown,
    NewAccount,
    NewInvitation,
    OptionsShown,
    PasswordChange,
    PrintedToken,
    ProfileChange,
    SessionShown,
    SettingsChangeGiven,
    SettingsShown,
    SignedInShown,
    UserShown,
)
from kira.web.signed_in import Admin, KiraOf, SessionId, Visitor

COOKIE = "kira_refresh"
COOKIE_PATH = "/api/auth"
ARRIVED, ARRIVED_BYTES = "kira_refreshed", 4
"""A cookie that says nothing: that it changed tells a page that the refresh token of a page before it has arrived."""

router = routes_of("auth")


def guest_of(request: Request) -> Guest:
    """Return where the request comes from."""
    address = request.client.host if request.client else "unknown"
    return Guest(address, device_name(request.headers.get("user-agent")))


class Keeper:
    """Keeps the refresh token in a cookie that scripts and other sites cannot use."""

    def __init__(self, request: Request, response: Response) -> None:
        """Answer `request` with `response`; over https the cookie never travels without it."""
        self._response = response
        self._secure = request.url.scheme == "https"
        response.headers["cache-control"] = "no-store"

    def keep(self, signed_in: SignedIn) -> SignedIn:
        """Put the refresh token into the cookie and return what goes into the body."""
        self._set(signed_in.refresh_token, SESSION_SECONDS)
        return signed_in

    def keep_next(self, signed_in: SignedIn) -> SignedIn:
        """Do the same with the token that is in the place of a spent one, and let pages see that it has arrived."""
        self.keep(signed_in)
        self._show(secrets.token_hex(ARRIVED_BYTES), SESSION_SECONDS)
        return signed_in

    def forget(self) -> None:
        """Take the cookies away."""
        self._set("", 0)
        self._show("", 0)

    def _show(self, value: str, seconds: int) -> None:
        self._response.set_cookie(ARRIVED, value, seconds, secure=self._secure, samesite="strict")

    def _set(self, value: str, seconds: int) -> None:
        self._response.set_cookie(
            COOKIE, value, seconds, path=COOKIE_PATH, secure=self._secure, httponly=True, samesite="strict"
        )


GuestOf = Annotated[Guest, Depends(guest_of)]
KeeperOf = Annotated[Keeper, Depends(Keeper)]
RefreshToken = Annotated[str | None, Cookie(alias=COOKIE, include_in_schema=False)]


@router.get("/auth/options", response_model=OptionsShown)
async def auth_options(kira: KiraOf) -> OptionsShown:
    """Say how one comes in: whether accounts are on, and whether anybody may make one."""
    options = await kira.accounts.options()
    return OptionsShown(accounts=options.accounts, sign_up=options.sign_up, version=__version__)


@router.post("/auth/sign-up", status_code=201, response_model=SignedInShown)
async def sign_up(kira: KiraOf, guest: GuestOf, keeper: KeeperOf, given: NewAccount) -> SignedIn:
    """Make an account and sign in; the first user is an admin."""
    form = Form(given.email, given.password, given.name, given.invitation)
    return keeper.keep(await kira.accounts.sign_up(form, guest))


@router.post("/auth/sign-in", response_model=SignedInShown)
async def sign_in(kira: KiraOf, guest: GuestOf, keeper: KeeperOf, given: Credentials) -> SignedIn:
    """Sign in with e-mail and password."""
    return keeper.keep(await kira.accounts.sign_in(given.email, given.password, guest))


@router.post("/auth/local", response_model=SignedInShown)
async def sign_in_locally(kira: KiraOf, guest: GuestOf, keeper: KeeperOf, given: PrintedToken) -> SignedIn:
    """Sign in with the token of the address that Kira printed, while accounts are off."""
    return keeper.keep(await kira.accounts.local(given.token, guest))


@router.post("/auth/refresh", response_model=SignedInShown)
async def refresh(kira: KiraOf, keeper: KeeperOf, token: RefreshToken = None) -> SignedIn:
    """Return a new access token and replace the refresh cookie; one that was used before ends its session."""
    if not token:
        raise Unauthenticated
    return keeper.keep_next(await kira.accounts.refresh(token))


@router.post("/auth/sign-out", status_code=204)
async def sign_out(kira: KiraOf, visit: Visitor, keeper: KeeperOf) -> None:
    """End this session."""
    await kira.accounts.sign_out(visit)
    keeper.forget()


@router.get("/auth/me", response_model=UserShown)
async def get_me(kira: KiraOf, visit: Visitor) -> User:
    """Return who is signed in."""
    return await kira.accounts.me(visit)


@router.patch("/auth/me", response_model=UserShown)
async def change_me(kira: KiraOf, visit: Visitor, given: ProfileChange) -> User:
    """Change one's name or e-mail."""
    return await kira.accounts.change(visit, name=given.name, email=given.email)


@router.post("/auth/password", status_code=204)
async def change_password(kira: KiraOf, visit: Visitor, given: PasswordChange) -> None:
    """Change one's password; all other sessions end."""
    await kira.accounts.change_password(visit, given.current, given.password)


@router.get("/auth/sessions", response_model=PageShown[SessionShown])
async def list_sessions(
    kira: KiraOf,
    visit: Visitor,
    limit: Annotated[Limit, Query()] = PAGE_ITEMS_DEFAULT,
    before: Annotated[Before, Query()] = None,
) -> Page[Session]:
    """List the devices on which one is signed in, newest first."""
    return await kira.sessions.page(visit, limit, before)


@router.delete("/auth/sessions/{session_id}", status_code=204)
async def end_session(kira: KiraOf, visit: Visitor, session_id: SessionId) -> None:
    """End the session of one device, at once."""
    await kira.sessions.finish(visit, session_id)


@router.post("/auth/invitations", status_code=201, response_model=InvitationShown)
async def invite(kira: KiraOf, visit: Admin, request: Request, given: NewInvitation | None = None) -> InvitationShown:
    """Invite somebody, as an admin; the address is shown once, and mailed where Kira has mail."""
    invitation = await kira.accounts.invite(visit, given.email if given else None)
    address = request.url.replace(path="/", query=f"invitation={invitation.token}", fragment="")
    if kira.letters is not None:
        await kira.letters.invite(given.email if given else None, str(address))
    return InvitationShown(url=str(address), expires_at=invitation.expires_at)


@router.get("/settings", response_model=SettingsShown)
async def get_settings(kira: KiraOf, visit: Visitor) -> UserSettings:
    """Return one's settings."""
    return await kira.settings.get(visit)


@router.patch("/settings", response_model=SettingsShown)
async def change_settings(kira: KiraOf, visit: Visitor, given: SettingsChangeGiven) -> UserSettings:
    """Change one's settings; what is not given stays."""
    change = given.change()
    if change.model is not None:
        change = replace(change, model=kira.models.full_name(change.model))
    return await kira.settings.change(visit, change)
