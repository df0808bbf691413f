"""Lanes: one thread that writes and a few that read, each with a connection of its own."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kira.adapters.database.failures import kira_error

GROUP_MAX = 64
"""Most jobs that share one commit."""

HOLD_SECONDS_MAX = 10.0
"""Longest time a transaction may hold the writing lane, so that one stuck holder cannot block everybody."""

Work = Callable[[sqlite3.Connection], Any]


@dataclass(slots=True)
class Job:
    """Work for a lane and the future that its result goes to."""

    work: Work
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class Hold:
    """A transaction that decides between its statements: it sends them one by one, then its end."""

    jobs: queue.SimpleQueue[Job | bool]
    opened: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    ended: asyncio.Future[Any]
    deadline: float = field(default_factory=lambda: time.monotonic() + HOLD_SECONDS_MAX)


def job(work: Work) -> Job:
    """Return `work` as a job of the running loop."""
    loop = asyncio.get_running_loop()
    return Job(work, loop.create_future(), loop)


class Lane:
    """A thread that takes jobs in turn until it is closed."""

    def __init__(self, name: str, connect: Callable[[], sqlite3.Connection], *, writes: bool, jobs: Any = None) -> None:
        """Start the thread; lanes that share `jobs` share the work."""
        self.jobs: queue.SimpleQueue[Job | Hold | None] = jobs or queue.SimpleQueue()
        self._connection = connect()
        self._thread = threading.Thread(target=self._write if writes else self._read, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Job | Hold) -> None:
        """Add a job."""
        self.jobs.put(item)

    def join(self) -> None:
        """Finish what was put before, then end the thread and close the connection."""
        self.jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _read(self) -> None:
        while (item := self.jobs.get()) is not None:
            if isinstance(item, Job) and not item.future.cancelled():
                _deliver([(item, *_attempt(item.work, self._connection))])
        self.jobs.put(None)  # Lanes that share the jobs take the end from one another, so it is passed on.

    def _write(self) -> None:
        while (item := self.jobs.get()) is not None:
            if isinstance(item, Hold):
                _hold(item, self._connection)
                continue
            group: list[Job] = [item]
            following: Job | Hold | None = item
            while len(group) < GROUP_MAX:
                try:
                    following = self.jobs.get_nowait()
                except queue.Empty:
                    break
                if not isinstance(following, Job):
                    break
                group.append(following)
            _commit_together([each for each in group if not each.future.cancelled()], self._connection)
            if isinstance(following, Hold):
                _hold(following, self._connection)
            elif following is None:
                return


Outcome = tuple[Job, Any, BaseException | None]


def _attempt(work: Work, connection: sqlite3.Connection) -> tuple[Any, BaseException | None]:
    try:
        return work(connection), None
    except Exception as error:  # noqa: BLE001 - it is raised again where the caller waits
        return None, kira_error(error)


def _commit_together(group: Sequence[Job], connection: sqlite3.Connection) -> None:
    """Run each job in a savepoint, commit once, and only then tell the callers."""
    if not group:
        return
    outcomes: list[Outcome] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for item in group:
            connection.execute("SAVEPOINT one")
            result, error = _attempt(item.work, connection)
            if error is not None and connection.in_transaction:
                connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
            outcomes.append((item, result, error))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        told = kira_error(error)
        outcomes = [(item, None, told) for item in group]
    _deliver(outcomes)


def _hold(hold: Hold, connection: sqlite3.Connection) -> None:
    """Serve one open transaction statement by statement."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as refused:
        _resolve(hold.loop, hold.opened, None, kira_error(refused))
        return
    _resolve(hold.loop, hold.opened, None, None)
    error: BaseException | None = None
    keep = False
    while True:
        try:
            item = hold.jobs.get(timeout=max(0.0, hold.deadline - time.monotonic()))
        except queue.Empty:
            error = TimeoutError("a transaction was open for too long")
            break
        if isinstance(item, bool):
            keep = item
            break
        _deliver([(item, *_attempt(item.work, connection))])
    try:
        connection.execute("COMMIT" if keep and error is None else "ROLLBACK")
    except sqlite3.Error as failed:
        _roll_back(connection)
        error = failed
    _resolve(hold.loop, hold.ended, None, kira_error(error) if error else None)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _deliver(outcomes: Sequence[Outcome]) -> None:
    loop = outcomes[0][0].loop
    if all(item.loop is loop for item, _, _ in outcomes):
        _soon(loop, outcomes)
    else:
        for outcome in outcomes:
            _soon(outcome[0].loop, [outcome])


def _soon(loop: asyncio.AbstractEventLoop, outcomes: Sequence[Outcome]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_set_all, outcomes)


def _set_all(outcomes: Sequence[Outcome]) -> None:
    for item, result, error in outcomes:
        _set(item.future, result, error)


def _set(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _resolve(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_set, future, result, error)
