"""Users and their sessions: the records, and what an e-mail, a password and a name may be."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from kira.domain.errors import Invalid
from kira.domain.limits import (
    EMAIL_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
)
from kira.domain.texts import one_line

LOCAL_NAME = "You"  # until they choose another: the one user of a Kira without accounts
_EMAIL = re.compile(r"(?!\.)[^\s@\x00-\x1f\x7f<>\",;:\\()\[\]]{1,64}(?<!\.)@(?![.-])[^\W_](?:[\w.-]*[^\W_])?")


class AccountsMode(StrEnum):
    """Who may have an account: nobody (one user, a token in the printed address), the invited, or anybody."""

    OFF = "off"
    INVITE = "invite"
    OPEN = "open"


class Role(StrEnum):
    """What a user may do; an admin runs the place without reading what others write."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """A user as they see themselves; `email` is None for the local user. Times in microseconds."""

    id: str
    email: str | None
    name: str
    role: Role
    created_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in device; `current` marks the one that asks. Times in microseconds."""

    id: str
    device: str
    created_at: int
    seen_at: int
    current: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a way in gives: the user, an access token that lives `expires_in` seconds, and a refresh token."""

    user: User
    session_id: str
    access_token: str
    expires_in: int
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """The `token` of a new invitation, which is shown once, and when it expires (microseconds)."""

    token: str
    expires_at: int


def wrong(path: str, message: str) -> Invalid:
    """Return the error for the field `path` of a request."""
    return Invalid(message, fields=[{"path": path, "message": message}])


def normal_email(text: str) -> str:
    """Return the one form in which an e-mail is stored and compared; raises Invalid when it cannot be one."""
    email = unicodedata.normalize("NFC", text.strip()).lower()
    if len(email) > EMAIL_CHARACTERS_MAX or ".." in email or not _EMAIL.fullmatch(email) or not _is_text(email):
        raise wrong("email", "This is not an e-mail address. Write one such as name@example.org.")
    return email


def checked_password(text: str, path: str = "password") -> str:
    """Return a new password if its length is allowed (the only rule); raises Invalid for the field `path`."""
    if len(text) < PASSWORD_CHARACTERS_MIN:
        raise wrong(path, f"Choose a password of at least {PASSWORD_CHARACTERS_MIN} characters.")
    if len(text) > PASSWORD_CHARACTERS_MAX:
        raise wrong(path, f"Choose a password of at most {PASSWORD_CHARACTERS_MAX} characters.")
    if not _is_text(text):
        raise wrong(path, "The password contains half of a surrogate pair, which is not text.")
    return text


def password_bytes(text: str) -> bytes:
    """Return the bytes that are hashed, the same however a keyboard composes an accent (NIST SP 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")


def checked_name(text: str) -> str:
    """Return a name on one line; raises Invalid when it is empty or longer than NAME_CHARACTERS_MAX."""
    try:
        return one_line(text, "The name", NAME_CHARACTERS_MAX)
    except Invalid as found:
        raise wrong("name", found.message) from found


def name_of(email: str) -> str:
    """Return a first name for somebody who gave none: what stands before the @."""
    return email.partition("@")[0][:NAME_CHARACTERS_MAX]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
