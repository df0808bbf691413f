"""Seats: how many event streams of each user are open, in this process or in all that share the database."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from kira.domain.errors import KiraError, TooManyStreams
from kira.domain.ids import new_id
from kira.domain.limits import (
    SEAT_SECONDS,
    STREAM_PING_SECONDS,
    STREAMS_PER_USER_APART_MAX,
    STREAMS_PER_USER_MAX,
)
from kira.domain.moments import SECOND
from kira.ports.database import Call, NoRow
from kira.services.visits import Visit


class Seat(Protocol):
    """What one open event stream holds."""

    async def is_kept(self) -> bool:
        """Say whether the reader may read on, now and then: their session lives and the seat is theirs."""

    async def leave(self) -> None:
        """Give the seat back."""


class Seats(Protocol):
    """Bounds the event streams of each user, so that one user's open tabs take nothing from the others."""

    async def take(self, visit: Visit) -> Seat:
        """Take a seat for a stream of who visits; raises TooManyStreams when all of theirs are taken."""

    @property
    def total(self) -> int:
        """How many streams are open here for all users."""


@dataclass(frozen=True, slots=True)
class OwnSeats:
    """Those of this process, where one process serves many streams: STREAMS_PER_USER_MAX for each user."""

    taken: Counter[str] = field(default_factory=Counter)

    async def take(self, visit: Visit) -> Seat:
        """Count one more, at once."""
        if self.taken[visit.user_id] >= STREAMS_PER_USER_MAX:
            raise _too_many(STREAMS_PER_USER_MAX)
        self.taken[visit.user_id] += 1
        return _OwnSeat(visit, self.taken)

    @property
    def total(self) -> int:
        """How many streams are open here for all users."""
        return self.taken.total()


@dataclass(frozen=True, slots=True)
class SharedSeats:
    """Those of all processes, where each stream takes a process of its own: STREAMS_PER_USER_APART_MAX for each user.

    A seat is a row that is kept from look to look; of a process that was ended it is free after SEAT_SECONDS.
    """

    taken: Counter[str] = field(default_factory=Counter)

    async def take(self, visit: Visit) -> Seat:
        """Take one in one round trip, exactly: writers of one user wait for each other."""
        seat = _SharedSeat(visit, new_id(), self.taken)
        now = visit.clock.now()
        free = {"until": now + SEAT_SECONDS * SECOND, "seats_max": STREAMS_PER_USER_APART_MAX}
        calls = [Call("seats.clear", {"now": now}), Call("seats.take", {"seat_id": seat.id, **free}, must=True)]
        try:
            await visit.run(calls)
        except NoRow:
            raise _too_many(STREAMS_PER_USER_APART_MAX) from None
        self.taken[visit.user_id] += 1
        return seat

    @property
    def total(self) -> int:
        """How many streams are open here for all users."""
        return self.taken.total()


@dataclass(frozen=True, slots=True)
class _OwnSeat:
    visit: Visit
    taken: Counter[str]

    async def is_kept(self) -> bool:
        return await self.visit.is_alive()

    async def leave(self) -> None:
        _uncount(self.taken, self.visit.user_id)


@dataclass(frozen=True, slots=True)
class _SharedSeat:
    visit: Visit
    id: str
    taken: Counter[str]

    async def is_kept(self) -> bool:
        until = self.visit.clock.now() + SEAT_SECONDS * SECOND
        return await self.visit.is_alive(Call("seats.keep", {"seat_id": self.id, "until": until}, must=True))

    async def leave(self) -> None:
        _uncount(self.taken, self.visit.user_id)
        with suppress(KiraError):  # then it is free a little later
            await self.visit.rows.execute("seats.leave", {"seat_id": self.id})


def _uncount(taken: Counter[str], user_id: str) -> None:
    taken[user_id] -= 1
    if not taken[user_id]:
        del taken[user_id]


def _too_many(most: int) -> TooManyStreams:
    message = f"{most} event streams are open for you. Close one and try again."
    return TooManyStreams(message, retry_after_s=STREAM_PING_SECONDS)
