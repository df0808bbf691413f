"""Seats: how many event streams of each user are open, in this process or in all that share the database."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

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


class Seats:
    """Bounds the event streams of each user, so that one user's open tabs take nothing from the others.

    These are those of this process, where one process serves many streams: STREAMS_PER_USER_MAX for each user.
    """

    def __init__(self) -> None:
        """Begin with nobody's."""
        self.taken: Counter[str] = Counter()

    async def take(self, visit: Visit) -> Seat:
        """Take a seat for a stream of who visits; raises TooManyStreams when all of theirs are taken."""
        if self.taken[visit.user_id] >= STREAMS_PER_USER_MAX:
            raise _too_many(STREAMS_PER_USER_MAX)
        self.taken[visit.user_id] += 1
        return Seat(visit, self.taken)

    @property
    def total(self) -> int:
        """How many streams are open here for all users."""
        return self.taken.total()


class SharedSeats(Seats):
    """Those of all processes, where each stream takes a process of its own: STREAMS_PER_USER_APART_MAX for each user.

    A seat is a row that is kept from look to look; of a process that was ended it is free after SEAT_SECONDS.
    """

    async def take(self, visit: Visit) -> Seat:
        """Take one in one round trip, exactly: writers of one user wait for each other."""
        seat = _SharedSeat(visit, self.taken)
        now = visit.clock.now()
        free = {"until": now + SEAT_SECONDS * SECOND, "seats_max": STREAMS_PER_USER_APART_MAX}
        calls = [Call("seats.clear", {"now": now}), Call("seats.take", {"seat_id": seat.id, **free}, must=True)]
        try:
            await visit.run(calls)
        except NoRow:
            raise _too_many(STREAMS_PER_USER_APART_MAX) from None
        self.taken[visit.user_id] += 1
        return seat


class Seat:
    """What one open event stream holds."""

    def __init__(self, visit: Visit, taken: Counter[str]) -> None:
        """Hold one that was counted among `taken`."""
        self.visit, self.taken = visit, taken

    async def is_kept(self) -> bool:
        """Say whether the reader may read on, now and then: their session lives and the seat is theirs."""
        return await self.visit.is_alive()

    async def leave(self) -> None:
        """Give the seat back."""
        self.taken[self.visit.user_id] -= 1
        if not self.taken[self.visit.user_id]:
            del self.taken[self.visit.user_id]


class _SharedSeat(Seat):
    def __init__(self, visit: Visit, taken: Counter[str]) -> None:
        super().__init__(visit, taken)
        self.id = new_id()

    async def is_kept(self) -> bool:
        until = self.visit.clock.now() + SEAT_SECONDS * SECOND
        return await self.visit.is_alive(Call("seats.keep", {"seat_id": self.id, "until": until}, must=True))

    async def leave(self) -> None:
        await super().leave()
        with suppress(KiraError):  # then it is free a little later
            await self.visit.rows.execute("seats.leave", {"seat_id": self.id})


def _too_many(most: int) -> TooManyStreams:
    message = f"{most} event streams are open for you. Close one and try again."
    return TooManyStreams(message, retry_after_s=STREAM_PING_SECONDS)
