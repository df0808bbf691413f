"""Kira: every service, built from one World."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from kira.domain.accounts import AccountsMode
from kira.domain.limits import Limit
from kira.ports.alarm import Alarm
from kira.ports.roster import Roster
from kira.ports.world import World
from kira.services.seats import Seats
from kira.services.visits import Visit
from kira.services.waiting import Line

if TYPE_CHECKING:
    from kira.services.accounts import Accounts
    from kira.services.admission import Admission
    from kira.services.answering import Answering
    from kira.services.conversations import Conversations
    from kira.services.letters import Letters
    from kira.services.models import Models
    from kira.services.runs import Runs
    from kira.services.sessions import Sessions
    from kira.services.settings import Settings
    from kira.services.tokens import Tokens
    from kira.services.usage import Usages
    from kira.services.widgets import Widgets


@dataclass(frozen=True)
class Kira:
    """What users can do, in one home. `limits` holds the limits that are on, by name.

    `seats` are those of event streams. `roster` knows the workers of other processes, where there may be any. `alarm`
    is set for what was queued, where only a wake-up finds runs whose hints were lost.
    """

    world: World
    accounts_mode: AccountsMode = AccountsMode.OFF
    limits: dict[str, Limit] = field(default_factory=dict)
    line: Line = field(default_factory=Line)
    seats: Seats = field(default_factory=Seats)
    roster: Roster | None = None
    alarm: Alarm | None = None
    letters: Letters | None = None

    def visit(self, access_token: str) -> Visit:
        """Begin a visit of the user whose access token this is.

        Raises Unauthenticated or TokenExpired; the visit's first statement shows that the session is alive.
        """
        access = self.tokens.read_access(access_token)
        world = self.world
        api = self.limits.get("api")
        return Visit(access.user_id, access.session_id, access.role, world.database, world.clock, api)

    @cached_property
    def tokens(self) -> Tokens:
        """Who may come in."""
        from kira.services.tokens import Tokens

        return Tokens(self.world.vault, self.world.clock)

    @cached_property
    def accounts(self) -> Accounts:
        """Sign-up, sign-in, profile."""
        from kira.services.accounts import Accounts

        return Accounts(self.world.database, self.world.clock, self.world.vault, self.accounts_mode)

    @cached_property
    def sessions(self) -> Sessions:
        """Signed-in devices."""
        from kira.services.sessions import Sessions

        return Sessions(self.world.database, self.world.clock, self.world.vault)

    @cached_property
    def settings(self) -> Settings:
        """What a user prefers."""
        from kira.services.settings import Settings

        return Settings(self.world.database, self.world.clock)

    @cached_property
    def models(self) -> Models:
        """What can be chosen."""
        from kira.services.models import Models

        return Models(self.world.engine, self.roster)

    @cached_property
    def conversations(self) -> Conversations:
        """Conversations and their messages."""
        from kira.services.conversations import Conversations

        world = self.world
        return Conversations(world.database, world.clock, world.queue, world.stream)

    @cached_property
    def admission(self) -> Admission:
        """Where runs are accepted or refused."""
        from kira.services.admission import Admission

        world = self.world
        limit = self.limits.get("conversation")
        return Admission(world.clock, world.queue, world.stream, self.models, self.line, limit, self.alarm)

    @cached_property
    def runs(self) -> Runs:
        """Runs as their users see them."""
        from kira.services.runs import Runs

        world = self.world
        return Runs(world.clock, world.queue, world.stream, self.line)

    @cached_property
    def answering(self) -> Answering:
        """What workers read and write."""
        from kira.services.answering import Answering

        return Answering(self.world.database, self.world.clock)

    @cached_property
    def usages(self) -> Usages:
        """Runs and tokens by day and model."""
        from kira.services.usage import Usages

        return Usages(self.world.clock)

    @cached_property
    def widgets(self) -> Widgets:
        """What stands on a user's dashboard."""
        from kira.services.widgets import Widgets

        world = self.world
        return Widgets(world.clock, world.queue, self.models, self.usages, self.line, self.limits.get("widget"))
