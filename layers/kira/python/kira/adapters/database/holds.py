"""A transaction that decides between its statements: it holds the writing lane, for a bounded time."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kira.adapters.database.mail import Mail, Work, outcome_of
from kira.adapters.database.session import Filled, Session
from kira.domain.errors import KiraError, Unavailable
from kira.ports.database import Result


def _late() -> Unavailable:
    told = "The database was held by one request for too long, so nothing of it was kept. Try again."
    return Unavailable(told, retry_after_s=1)


class Hold:
    """The two ends of a held lane: `open`, `run`, `keep` and `leave` in the event loop, `serve` in the lane."""

    __slots__ = ("_ended", "_is_over", "_lock", "_mail", "_opened", "_orders", "_seconds_max")

    def __init__(self, mail: Mail, seconds_max: float) -> None:
        """Hold for a caller in the loop of `mail`, at most `seconds_max` from the lane's BEGIN on."""
        self._mail = mail
        self._seconds_max = seconds_max
        self._opened: asyncio.Future[Any] = mail.loop.create_future()
        self._ended: asyncio.Future[Any] = mail.loop.create_future()
        self._orders: queue.SimpleQueue[Work | bool] = queue.SimpleQueue()
        self._is_over = False
        self._lock = threading.Lock()  # guards _is_over and what is put into _orders

    async def open(self) -> None:
        """Wait for the lane; raises Unavailable when the file stays busy."""
        try:
            await self._opened
        except asyncio.CancelledError:
            self.leave()
            raise

    async def run(self, filled: Sequence[Filled]) -> list[Result]:
        """Run `filled` in the transaction."""
        work = Work(self._mail, filled)
        if not self._put(work):
            raise _late()
        found: list[Result] = await work.future
        return found

    async def keep(self) -> None:
        """Commit, and return when it is done; raises KiraError when nothing was kept."""
        self._put(True)
        failure: KiraError | None = await self._ended
        if failure is not None:
            raise failure

    def leave(self) -> None:
        """Roll back; the lane does it before any work that is asked for later."""
        self._put(False)

    def serve(self, session: Session) -> None:
        """Hold the lane of `session` until the transaction ends or its time is over."""
        if self._opened.cancelled():
            return
        try:
            session.command("BEGIN IMMEDIATE")
        except KiraError as error:
            self._mail.send([(self._opened, error)])
            return
        self._mail.send([(self._opened, None)])
        failure = self._obey(session, time.monotonic() + self._seconds_max)
        with suppress(KiraError):
            session.undo()
        self._close()
        # A result and not an exception: who left does not look, and asyncio complains about errors nobody looked at.
        self._mail.loop.call_soon_threadsafe(self._settle, failure)

    def _obey(self, session: Session, deadline: float) -> Exception | None:
        lost: Exception | None = None
        while True:
            try:
                order = self._orders.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return _late()
            if isinstance(order, Work):
                outcome = lost or (outcome_of(session, order.filled) if order.is_wanted else None)
                if isinstance(outcome, Exception) and not session.is_open:
                    lost = outcome  # SQLite gave the transaction up; nothing may run outside of one
                order.tell(outcome)
                continue
            if lost is not None or not order:
                return lost
            try:
                session.command("COMMIT")
            except KiraError as error:
                return error
            return None

    def _close(self) -> None:
        with self._lock:
            self._is_over = True
        while not self._orders.empty():
            order = self._orders.get()
            if isinstance(order, Work):
                order.tell(_late())

    def _put(self, order: Work | bool) -> bool:
        with self._lock:
            if self._is_over:
                return False
            self._orders.put(order)
            return True

    def _settle(self, failure: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(failure)
