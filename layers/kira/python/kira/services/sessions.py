"""Sessions: one per signed-in device, begun, refreshed, listed, ended at once and swept away."""

from __future__ import annotations

from dataclasses import dataclass

from kira.domain.accounts import Role, Session, SignedIn, User
from kira.domain.conversations import Page
from kira.domain.errors import NotFound, Unauthenticated
from kira.domain.guests import Guest
from kira.domain.ids import is_id, new_id
from kira.domain.limits import ACCESS_TOKEN_SECONDS, SESSION_SECONDS
from kira.domain.moments import SECOND
from kira.ports.clock import Clock
from kira.ports.database import Call, Database, NoRow, Row
from kira.ports.vault import Vault
from kira.services.tokens import Refresh, Tokens
from kira.services.visits import Visit

REUSED = "This sign-in was used twice, so it was ended on this device. Sign in again."


def user_of(row: Row) -> User:
    """Return the user that a row of the table `users` tells of."""
    return User(row["id"], row["email"], row["name"], Role(row["role"]), int(row["created_at"]))


@dataclass(frozen=True, slots=True)
class Beginning:
    """A session that exists as soon as `call` has run; `signed_in` is what its user then gets."""

    call: Call
    signed_in: SignedIn


@dataclass(frozen=True, slots=True)
class Sessions:
    """What users can do with their sessions."""

    database: Database
    clock: Clock
    vault: Vault

    @property
    def tokens(self) -> Tokens:
        """Writes and reads the tokens of sessions."""
        return Tokens(self.vault, self.clock)

    def begin(self, user: User, guest: Guest, checked_hash: str | None) -> Beginning:
        """Return a new session of `user`; its statement gives no row once `checked_hash` is not their password."""
        session_id = new_id()
        refresh = self.tokens.new_refresh(user.id, session_id)
        params = {
            "owner_id": user.id,
            "session_id": session_id,
            "refresh_hash": refresh.hash,
            "device": guest.device,
            "now": self.clock.now(),
            "expires_at": self._expiry(),
            "checked_hash": checked_hash,
        }
        return Beginning(Call("sessions.begin", params, must=True), self._signed_in(user, refresh))

    async def refresh(self, token: str) -> SignedIn:
        """Return a new access token and put a fresh refresh token in the place of `token`.

        Raises Unauthenticated when the session has ended; a token that was spent before ends it now, since
        either its owner or whoever holds a copy is not who they say.
        """
        spent = self.tokens.read_refresh(token)
        fresh = self.tokens.new_refresh(spent.user_id, spent.session_id)
        rotate = {
            "owner_id": spent.user_id,
            "session_id": spent.session_id,
            "refresh_hash": spent.hash,
            "fresh_hash": fresh.hash,
            "now": self.clock.now(),
            "expires_at": self._expiry(),
        }
        calls = [
            Call("sessions.rotate", rotate, must=True),
            Call("accounts.by_id", {"owner_id": spent.user_id}, must=True),
        ]
        try:
            results = await self.database.system.run(calls)
        except NoRow as refused:
            raise await self._refusal(spent) from refused
        return self._signed_in(user_of(results[1].rows[0]), fresh)

    async def page(self, visit: Visit, items: int, before: str | None = None) -> Page[Session]:
        """Return at most `items` living sessions of the user, newest first, after the cursor `before`."""
        params = {"now": self.clock.now(), "items": items + 1, "before": before}
        found = [
            Session(row["id"], row["device"], row["created_at"], row["seen_at"], row["id"] == visit.session_id)
            for row in await visit.query("sessions.page", params)
        ]
        shown = found[:items]
        return Page(shown, shown[-1].id if len(found) > items else None)

    async def finish(self, visit: Visit, session_id: str) -> None:
        """End one of the user's sessions at once; raises NotFound when they have no such living session."""
        await visit.check()
        named = {"session_id": session_id, "now": self.clock.now()}
        if not is_id(session_id) or not await visit.execute("sessions.finish", named):
            raise NotFound

    async def sweep(self) -> int:
        """Forget expired sessions and invitations and old attempts; returns how many sessions went."""
        now = {"now": self.clock.now()}
        names = ("sessions.sweep", "accounts.sweep_invitations", "attempts.sweep")
        return (await self.database.system.run([Call(name, now) for name in names]))[0].changes

    async def _refusal(self, spent: Refresh) -> Unauthenticated:
        params = {
            "owner_id": spent.user_id,
            "session_id": spent.session_id,
            "refresh_hash": spent.hash,
            "now": self.clock.now(),
        }
        reused = await self.database.system.execute("sessions.finish_reused", params)
        return Unauthenticated(REUSED if reused else "This session has ended. Sign in again.")

    def _signed_in(self, user: User, refresh: Refresh) -> SignedIn:
        access = self.tokens.access(user, refresh.session_id)
        return SignedIn(user, refresh.session_id, access, ACCESS_TOKEN_SECONDS, refresh.text)

    def _expiry(self) -> int:
        return self.clock.now() + SESSION_SECONDS * SECOND
