"""Accounts and visits of a world, as tests need them."""

from __future__ import annotations

from dataclasses import dataclass, field

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.engine.scripted import ScriptedEngine
from kira.domain.accounts import AccountsMode, SignedIn
from kira.ports.database import Database
from kira.ports.engine import Engine
from kira.ports.vault import Vault
from kira.services.accounts import Accounts
from kira.services.enrolment import Form
from kira.services.passwords import Passwords
from kira.services.visits import Visit
from kira.testing.hashing import CountingHasher
from kira.testing.vault import MemoryVault

PASSWORD = "correct horse battery"  # noqa: S105 - of users in tests


@dataclass(frozen=True, slots=True)
class SmallWorld:
    """The ports that accounts need, with a clock that tests move."""

    database: Database
    clock: FixedClock = field(default_factory=FixedClock)
    vault: Vault = field(default_factory=MemoryVault)
    engine: Engine = field(default_factory=ScriptedEngine)


def accounts_of(
    world: SmallWorld, mode: AccountsMode = AccountsMode.OPEN, hasher: CountingHasher | None = None
) -> Accounts:
    """Return the accounts of `world` in `mode`, with passwords that cost next to nothing."""
    passwords = Passwords(hasher or CountingHasher())
    return Accounts(world.database, world.clock, world.vault, mode, passwords)


def form_of(email: str, *, password: str = PASSWORD, name: str | None = None, invitation: str | None = None) -> Form:
    """Return what somebody gives to get an account."""
    return Form(email, password, name, invitation)


def visit_of(world: SmallWorld, signed_in: SignedIn) -> Visit:
    """Return a visit of who is signed in, without the `api` limit."""
    user = signed_in.user
    return Visit(user.id, signed_in.session_id, user.role, world.database, world.clock, None)
