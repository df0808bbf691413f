"""Seats: how many event streams of each user are open here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kira.domain.errors import TooManyStreams
from kira.domain.limits import STREAM_PING_SECONDS, STREAMS_PER_USER_MAX


@dataclass(frozen=True, slots=True)
class Seats:
    """Bounds the event streams of each user, so that one user's open tabs cannot fill this process."""

    _taken: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def take(self, user_id: str) -> Iterator[None]:
        """Hold a seat of `user_id`; raises TooManyStreams when all STREAMS_PER_USER_MAX are taken."""
        if self._taken[user_id] >= STREAMS_PER_USER_MAX:
            message = f"{STREAMS_PER_USER_MAX} event streams are open for you. Close one and try again."
            raise TooManyStreams(message, retry_after_s=STREAM_PING_SECONDS)
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]

    @property
    def total(self) -> int:
        """How many streams are open for all users."""
        return self._taken.total()
