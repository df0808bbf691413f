"""What /api/auth and /api/settings say and take, in JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kira.domain.accounts import AccountsMode, Role
from kira.domain.limits import (
    EMAIL_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    SYSTEM_PROMPT_CHARACTERS_MAX,
    TOKEN_CHARACTERS_MAX,
)
from kira.services.settings import SettingsChange, Theme
from kira.web.schemas import Given, ModelName, Moment, Shown

Email = Annotated[str, Field(min_length=3, max_length=EMAIL_CHARACTERS_MAX, json_schema_extra={"format": "email"})]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
NewPassword = Annotated[str, Field(min_length=PASSWORD_CHARACTERS_MIN, max_length=PASSWORD_CHARACTERS_MAX)]
Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARACTERS_MAX)]
Token = Annotated[str, Field(min_length=1, max_length=TOKEN_CHARACTERS_MAX)]
SystemPrompt = Annotated[str, Field(max_length=SYSTEM_PROMPT_CHARACTERS_MAX)]


class OptionsShown(Shown):
    """How one comes in here; `sign_up` when anybody may make an account."""

    accounts: AccountsMode
    sign_up: bool
    version: str


class UserShown(Shown):
    """A user; without an e-mail, the one user of a Kira without accounts."""

    id: str
    email: str | None
    name: str
    role: Role
    created_at: Moment


class SignedInShown(Shown):
    """Who is signed in, and an access token for `expires_in` seconds; the refresh token is in a cookie."""

    user: UserShown
    access_token: str
    expires_in: int


class SessionShown(Shown):
    """One signed-in device; `current` is the one that asks."""

    id: str
    device: str
    created_at: Moment
    seen_at: Moment
    current: bool


class InvitationShown(Shown):
    """The address to send to whom one invites; it is shown once."""

    url: str
    expires_at: Moment


class SettingsShown(Shown):
    """A user's settings; a `model` of null means the default model."""

    model: str | None
    system_prompt: str
    theme: Theme


class NewAccount(Given):
    """A new account; `invitation` is the token of an invitation, where one is needed."""

    email: Email
    password: NewPassword
    name: Name | None = None
    invitation: Token | None = None


class Credentials(Given):
    """A way into an account."""

    email: Email
    password: Password


class PrintedToken(Given):
    """The token of the address that Kira printed."""

    token: Token


class ProfileChange(Given):
    """What to change about oneself."""

    name: Name | None = None
    email: Email | None = None


class PasswordChange(Given):
    """The current password and a new one."""

    current: Password
    password: NewPassword


class NewInvitation(Given):
    """Whom to invite; without an e-mail, whoever holds the address."""

    email: Email | None = None


class SettingsChangeGiven(Given):
    """What to change; a `model` of null means the default model again."""

    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None
    theme: Theme | None = None

    def change(self) -> SettingsChange:
        """Return the change that is asked for."""
        return SettingsChange(self.model, "model" in self.model_fields_set, self.system_prompt, self.theme)
