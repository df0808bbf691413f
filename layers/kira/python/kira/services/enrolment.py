"""Enrolment: how a user row comes to be, and how the first account takes over the local user's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from kira.domain.accounts import (
    LOCAL_NAME,
    AccountsMode,
    Role,
    User,
    checked_name,
    checked_password,
    name_of,
    normal_email,
)
from kira.domain.errors import Conflict, Forbidden
from kira.domain.ids import new_id
from kira.ports.clock import Clock
from kira.ports.database import Database, Transaction
from kira.services.sessions import user_of
from kira.services.tokens import hash_of

EMAIL_TAKEN = "There is already an account with this e-mail."
INVITATION_MISSING = "You need an invitation to make an account here. Ask whoever runs this Kira for one."
INVITATION_WRONG = (
    "This invitation is not valid: it was used, has expired, or is for another e-mail. Ask for a new one."
)


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody gives to get an account."""

    email: str
    password: str = field(repr=False)
    name: str | None = None
    invitation: str | None = field(default=None, repr=False)

    def checked(self) -> Form:
        """Return the form in normal form; raises Invalid, naming the field."""
        name = None if self.name is None else checked_name(self.name)
        return replace(self, email=normal_email(self.email), password=checked_password(self.password), name=name)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Makes users, each in one transaction across users."""

    database: Database
    clock: Clock

    async def accounts_exist(self) -> bool:
        """Say whether anybody has an account; the local user has none."""
        return bool((await self.database.system.query("accounts.exist"))[0]["found"])

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction that makes one user; raises Conflict when the e-mail is taken."""
        try:
            async with self.database.system.transaction() as rows:
                yield rows
        except Conflict as found:
            raise Conflict(EMAIL_TAKEN) from found

    async def admit(self, rows: Transaction, form: Form, mode: AccountsMode) -> None:
        """Use up the form's invitation where one is needed; raises Forbidden without a valid one."""
        if mode is AccountsMode.OPEN or not await self._exist(rows):
            return
        if form.invitation is None:
            raise Forbidden(INVITATION_MISSING)
        params = {"token_hash": hash_of(form.invitation), "email": form.email, "now": self.clock.now()}
        if not await rows.query("accounts.redeem", params):
            raise Forbidden(INVITATION_WRONG)

    async def enrol(self, rows: Transaction, form: Form, password_hash: str, role: Role = Role.USER) -> User:
        """Make an account of `form`, whose password has `password_hash`; the first one is an admin."""
        now = self.clock.now()
        params = {"email": form.email, "name": form.name or name_of(form.email), "password_hash": password_hash}
        if await self._exist(rows):
            return user_of(
                (await rows.query("accounts.add", params | {"id": new_id(), "role": role.value, "now": now}))[0]
            )
        local = await rows.query("accounts.local")
        if not local:
            first = params | {"id": new_id(), "role": Role.ADMIN.value, "now": now}
            return user_of((await rows.query("accounts.add", first))[0])
        kept = local[0]
        if form.name is None and kept["name"] != LOCAL_NAME:
            params["name"] = kept["name"]
        # Whoever held the printed address was let in without a password; now they need one.
        await rows.execute("sessions.finish_all", {"owner_id": kept["id"], "now": now})
        return user_of((await rows.query("accounts.take_over", params | {"owner_id": kept["id"]}))[0])

    async def _exist(self, rows: Transaction) -> bool:
        return bool((await rows.query("accounts.exist"))[0]["found"])
