"""Accounts: how users come in, change their profile and invite others."""

from __future__ import annotations

from dataclasses import dataclass, field

from kira.domain.accounts import (
    LOCAL_NAME,
    AccountsMode,
    Invitation,
    Role,
    SignedIn,
    User,
    checked_name,
    checked_password,
    normal_email,
    wrong,
)
from kira.domain.errors import Conflict, Forbidden, WrongCredentials
from kira.domain.guests import Guest
from kira.domain.ids import new_id
from kira.domain.limits import INVITATION_SECONDS
from kira.domain.moments import SECOND
from kira.ports.clock import Clock
from kira.ports.database import Call, Database, NoRow
from kira.ports.vault import Vault
from kira.services.attempts import Attempts, to_account, to_sign_in, to_sign_up
from kira.services.enrolment import EMAIL_TAKEN, Enrolment, Form
from kira.services.passwords import Passwords
from kira.services.sessions import Sessions, user_of
from kira.services.tokens import Tokens, hash_of, new_secret
from kira.services.visits import Visit

ACCOUNTS_OFF = (
    "Accounts are off on this Kira, which has one user. To turn them on, run `kira users add`, or start Kira with "
    "KIRA_ACCOUNTS=invite or KIRA_ACCOUNTS=open."
)
ACCOUNTS_ON = "Accounts are on, so the token of the printed address no longer works. Sign in with your e-mail."
WRONG_TOKEN = "This token is not right. Open the address that Kira printed in the terminal."  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Options:
    """How one comes in here: who may have an account, and whether anybody may make one now."""

    accounts: AccountsMode
    sign_up: bool


@dataclass(frozen=True, slots=True)
class Accounts:
    """What users and guests can do with accounts; `mode` is the setting KIRA_ACCOUNTS."""

    database: Database
    clock: Clock
    vault: Vault
    mode: AccountsMode
    passwords: Passwords = field(default_factory=Passwords)

    @property
    def tokens(self) -> Tokens:
        """Writes and reads tokens."""
        return Tokens(self.vault, self.clock)

    @property
    def sessions(self) -> Sessions:
        """Begins and refreshes sessions."""
        return Sessions(self.database, self.clock, self.vault)

    @property
    def attempts(self) -> Attempts:
        """Counts the attempts of guests."""
        return Attempts(self.database, self.clock)

    @property
    def enrolment(self) -> Enrolment:
        """Makes users."""
        return Enrolment(self.database, self.clock)

    async def options(self) -> Options:
        """Return how one comes in; an account that the terminal added turns accounts on, for the invited."""
        exist = await self.enrolment.accounts_exist()
        if self.mode is AccountsMode.OFF:
            return Options(AccountsMode.INVITE if exist else AccountsMode.OFF, sign_up=False)
        return Options(self.mode, sign_up=self.mode is AccountsMode.OPEN or not exist)

    async def local_user(self) -> User:
        """Return the one user of a Kira without accounts, made at the first start.

        Raises Forbidden when accounts are on.
        """
        if (await self.options()).accounts is not AccountsMode.OFF:
            raise Forbidden(ACCOUNTS_ON)
        params = {"id": new_id(), "name": LOCAL_NAME, "now": self.clock.now()}
        results = await self.database.system.run([Call("accounts.add_local", params), Call("accounts.local")])
        return user_of(results[1].rows[0])

    async def local(self, token: str, guest: Guest) -> SignedIn:
        """Sign in with the `token` of the printed address.

        Raises Forbidden when accounts are on, RateLimited, WrongCredentials.
        """
        user = await self.local_user()
        attempts = [to_sign_in(guest)]
        await self.attempts.take(attempts)
        if not self.tokens.is_local(token):
            raise WrongCredentials(WRONG_TOKEN)
        beginning = self.sessions.begin(user, guest, None)
        try:
            await self.database.system.run([*self.attempts.give_back(attempts), beginning.call])
        except NoRow as refused:  # accounts were turned on since the user was read
            raise Forbidden(ACCOUNTS_ON) from refused
        return beginning.signed_in

    async def sign_in(self, email: str, password: str, guest: Guest) -> SignedIn:
        """Sign in to an account; the same answer and the same work for unknown and for known e-mails.

        Raises Forbidden when accounts are off, RateLimited with the true wait, WrongCredentials.
        """
        if (await self.options()).accounts is AccountsMode.OFF:
            raise Forbidden(ACCOUNTS_OFF)
        email = normal_email(email)
        attempts = [to_sign_in(guest), to_account(email)]
        found = await self.attempts.take(attempts, [Call("accounts.by_email", {"email": email})])
        row = found[0].rows[0] if found[0].rows else None
        checked_hash = row["password_hash"] if row else None
        matches = await self.passwords.matches(checked_hash, password)
        if not matches or row is None or checked_hash is None:
            raise WrongCredentials
        beginning = self.sessions.begin(user_of(row), guest, checked_hash)
        rehash = await self._rehash(row["id"], checked_hash, password)
        try:
            await self.database.system.run([*self.attempts.give_back(attempts), beginning.call, *rehash])
        except NoRow as refused:  # the password was changed, or the user disabled, since it was read
            raise WrongCredentials from refused
        return beginning.signed_in

    async def sign_up(self, form: Form, guest: Guest) -> SignedIn:
        """Make an account and sign in; the first one is an admin and takes over what the local user had.

        Raises Forbidden when accounts are off or an invitation is missing, RateLimited, Invalid, and Conflict
        when there is an account with this e-mail.
        """
        options = await self.options()
        if options.accounts is AccountsMode.OFF:
            raise Forbidden(ACCOUNTS_OFF)
        form = form.checked()
        await self.attempts.take([to_sign_up(guest)])
        password_hash = await self.passwords.hash(form.password)
        async with self.enrolment.transaction() as rows:
            await self.enrolment.admit(rows, form, options.accounts)
            user = await self.enrolment.enrol(rows, form, password_hash)
            beginning = self.sessions.begin(user, guest, password_hash)
            await rows.query(beginning.call.name, beginning.call.params)
        return beginning.signed_in

    async def add_user(self, form: Form, *, admin: bool = False) -> User:
        """Make an account from the terminal; the first one is an admin and takes over what the local user had.

        Raises Invalid, and Conflict when there is an account with this e-mail.
        """
        form = form.checked()
        password_hash = await self.passwords.hash(form.password)
        async with self.enrolment.transaction() as rows:
            return await self.enrolment.enrol(rows, form, password_hash, Role.ADMIN if admin else Role.USER)

    async def refresh(self, token: str) -> SignedIn:
        """Return a new access token for the refresh token of a living session; as Sessions.refresh."""
        return await self.sessions.refresh(token)

    async def sign_out(self, visit: Visit) -> None:
        """End the session that asks."""
        await self.sessions.finish(visit, visit.session_id)

    async def me(self, visit: Visit) -> User:
        """Return the user who asks."""
        return user_of((await visit.query("accounts.me"))[0])

    async def change(self, visit: Visit, *, name: str | None = None, email: str | None = None) -> User:
        """Change the user's name or e-mail, where given; raises Invalid, and Conflict for an e-mail that is taken."""
        params = {
            "name": None if name is None else checked_name(name),
            "email": None if email is None else normal_email(email),
        }
        try:
            rows = await visit.query("accounts.change", params)
        except Conflict as found:
            raise Conflict(EMAIL_TAKEN) from found
        if not rows:
            raise Conflict(ACCOUNTS_OFF)
        return user_of(rows[0])

    async def change_password(self, visit: Visit, current: str, password: str) -> None:
        """Change the password and end the user's other sessions.

        Raises Invalid for a wrong `current` password or a `password` that is not allowed, RateLimited after too
        many wrong ones, Conflict when there is no password to change.
        """
        checked_password(password)
        row = (await visit.query("accounts.password"))[0]
        if row["password_hash"] is None:
            raise Conflict(ACCOUNTS_OFF)
        attempts = [to_account(row["email"])]
        await self.attempts.take(attempts)
        if not await self.passwords.matches(row["password_hash"], current):
            raise wrong("current", "This is not your current password.")
        hashes = {"checked_hash": row["password_hash"], "fresh_hash": await self.passwords.hash(password)}
        others = {"session_id": visit.session_id, "now": self.clock.now()}
        try:
            await visit.run(
                [Call("accounts.change_password", hashes, must=True), Call("sessions.finish_others", others)]
            )
        except NoRow as refused:
            raise Conflict("Your password was changed from another device just now.") from refused
        await self.database.system.run(self.attempts.give_back(attempts))

    async def invite(self, visit: Visit, email: str | None = None) -> Invitation:
        """Make an invitation for anybody, or for one e-mail; raises Forbidden for users who are not admins."""
        await visit.check()
        if not visit.is_admin:
            raise Forbidden("Only an admin can invite others.")
        if (await self.options()).accounts is AccountsMode.OFF:
            raise Conflict(ACCOUNTS_OFF)
        now = self.clock.now()
        invitation = Invitation(new_secret(), now + INVITATION_SECONDS * SECOND)
        params = {
            "id": new_id(),
            "token_hash": hash_of(invitation.token),
            "email": None if email is None else normal_email(email),
            "owner_id": visit.user_id,
            "now": now,
            "expires_at": invitation.expires_at,
        }
        await self.database.system.execute("accounts.invite", params)
        return invitation

    async def _rehash(self, user_id: str, checked_hash: str, password: str) -> list[Call]:
        if not self.passwords.is_outdated(checked_hash):
            return []
        fresh = await self.passwords.hash(password)
        return [Call("accounts.rehash", {"owner_id": user_id, "checked_hash": checked_hash, "fresh_hash": fresh})]
