"""Lanes: one thread that writes and a few that read, each with a connection of its own."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from kira.adapters.database.holds import Hold
from kira.adapters.database.mail import Outcome, Work, outcome_of
from kira.adapters.database.session import Filled, Session
from kira.domain.errors import KiraError
from kira.domain.limits import COMMITS_TOGETHER_MAX

Item = Work | Hold | None
"""What a lane takes; None ends it."""


class Lane:
    """A thread that takes what waits, in turn, until it takes None."""

    def __init__(self, name: str, session: Session, waiting: queue.SimpleQueue[Item], *, writes: bool) -> None:
        """Start the thread; lanes with the same `waiting` share the work."""
        self._session = session
        self._waiting = waiting
        self._ahead: deque[Item] = deque()
        self._thread = threading.Thread(target=self._write if writes else self._read, name=name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread is done."""
        self._thread.join()

    def _read(self) -> None:
        while isinstance(item := self._waiting.get(), Work):
            if item.is_wanted:
                item.tell(_read(self._session, item.filled))
        self._session.close()

    def _write(self) -> None:
        while (item := self._ahead.popleft() if self._ahead else self._waiting.get()) is not None:
            if isinstance(item, Work):
                _commit_together(self._session, self._gather(item))
            else:
                item.serve(self._session)
        self._session.close()

    def _gather(self, first: Work) -> list[Work]:
        """Return the wanted work that waits already, `first` in front; what cannot share a commit stays ahead."""
        group = [first]
        while len(group) < COMMITS_TOGETHER_MAX:
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                break
            if not isinstance(item, Work):
                self._ahead.append(item)
                break
            group.append(item)
        return [work for work in group if work.is_wanted]


def _read(session: Session, filled: Sequence[Filled]) -> Outcome:
    if len(filled) == 1:
        return outcome_of(session, filled)
    try:
        session.command("BEGIN")  # several statements see the same moment
        return outcome_of(session, filled)
    except KiraError as error:
        return error
    finally:
        session.undo()


def _commit_together(session: Session, group: Sequence[Work]) -> None:
    """Run each work so that it can be undone alone, commit once, and only then tell the callers."""
    if not group:
        return
    try:
        outcomes = _write_all(session, group)
    except Exception as error:  # noqa: BLE001 - it is raised where the callers wait; a lane outlives its work
        with suppress(KiraError):
            session.undo()
        outcomes = [error] * len(group)
    told = list(zip(group, outcomes, strict=True))
    for mail in {work.mail for work in group}:
        mail.send([(work.future, outcome) for work, outcome in told if work.mail is mail])


def _write_all(session: Session, group: Sequence[Work]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    session.command("BEGIN IMMEDIATE")
    for work in group:
        outcome = outcome_of(session, work.filled)
        if isinstance(outcome, Exception) and not session.is_open:
            raise outcome  # SQLite gave the whole transaction up, so nothing of the group happened
        outcomes.append(outcome)
    session.command("COMMIT")
    return outcomes
