"""The way between an event loop and the lanes: work goes there, outcomes come back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from kira.adapters.database.session import Filled, Session
from kira.ports.database import Result

Outcome = list[Result] | Exception | None


class Mail:
    """Outcomes on their way to one event loop, which is woken once for all that came together."""

    __slots__ = ("_came", "_rung", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver to futures of `loop`."""
        self.loop = loop
        self._came: deque[tuple[asyncio.Future[Any], Outcome]] = deque()
        self._rung = False

    def send(self, outcomes: Iterable[tuple[asyncio.Future[Any], Outcome]]) -> None:
        """Send `outcomes`; called by a lane's thread."""
        self._came.extend(outcomes)
        if not self._rung:
            self._rung = True
            try:
                self.loop.call_soon_threadsafe(self._hand_over)
            except RuntimeError:
                self._came.clear()  # the loop is closed, so nobody waits

    def _hand_over(self) -> None:
        # Lowered before the first is taken: what comes from now on rings again.
        self._rung = False
        while self._came:
            future, outcome = self._came.popleft()
            if future.done():  # who waited has gone
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


class Work:
    """Statements that run together, and the future of who waits for them."""

    __slots__ = ("filled", "future", "mail")

    def __init__(self, mail: Mail, filled: Sequence[Filled]) -> None:
        """Run `filled` for a caller in the loop of `mail`."""
        self.mail = mail
        self.filled = filled
        self.future: asyncio.Future[Any] = mail.loop.create_future()

    @property
    def is_wanted(self) -> bool:
        """Say whether anybody still waits; work that nobody waits for is dropped before it starts."""
        return not self.future.cancelled()

    def tell(self, outcome: Outcome) -> None:
        """Give the outcome to who waits."""
        self.mail.send([(self.future, outcome)])


def outcome_of(session: Session, filled: Sequence[Filled]) -> Outcome:
    """Return what `filled` give in the transaction that is open, or the error that their caller is told."""
    try:
        return session.all(filled)
    except Exception as error:  # noqa: BLE001 - raised again where the caller waits; a lane outlives its work
        return error
