"""Seats: how many event streams of each user are open, in this process or in all that share the database."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from kira.domain.errors import KiraError, TooManyStreams
from kira.domain.ids import new_id
from kira.domain.limits import (
    STREAM_PING_SECONDS,
    STREAMS_PER_USER_APART_MAX,
    STREAMS_PER_USER_MAX,
)
from kira.ports.database import Call
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
            message = f"{STREAMS_PER_USER_MAX} event streams are open for you. Close one and try again."
            raise TooManyStreams(message, retry_after_s=STREAM_PING_SECONDS)
        self.taken[visit.user_id] += 1
        return Seat(visit, self.taken)

    @property
    def total(self) -> int:
        """How many streams are open here for all users."""
        return self.taken.total()


class SharedSeats(Seats):
    """Those of all processes, where each stream takes a process of its own: STREAMS_PER_USER_APART_MAX for each user.

    Nobody tells such a process that its reader has gone, so who comes is not refused: the oldest stream breaks off when
    it looks next, and a reader who is still there takes a seat anew.
    """

    async def take(self, visit: Visit) -> Seat:
        """Take a seat in one round trip; the oldest of too many are given up."""
        seat = _SharedSeat(visit, self.taken)
        give_up = Call("seats.give_up", {"items": STREAMS_PER_USER_APART_MAX})
        await visit.run([Call("seats.take", {"seat_id": seat.id}), give_up])
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
        return await self.visit.is_alive(Call("seats.held", {"seat_id": self.id}, must=True))

    async def leave(self) -> None:
        await super().leave()
        with suppress(KiraError):  # then it is given up as the oldest, some time
            await self.visit.rows.execute("seats.leave", {"seat_id": self.id})
