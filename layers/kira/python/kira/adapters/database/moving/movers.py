"""Processes that take parts of a move from a file to a PostgreSQL off this one, which reads on one core only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any, cast

from kira.adapters.database.moving.postgres_target import PostgresTarget
from kira.adapters.database.moving.sides import Reader, Target
from kira.adapters.database.moving.sqlite_reader import SqliteSource
from kira.adapters.database.moving.work import Done, Task
from kira.domain.errors import Invalid

MOVERS_MAX = min(4, os.cpu_count() or 1) - 1
TASKS_EACH = 8
"""Of a table with fewer, this process has done most before another one is awake."""


class Gone(Exception):
    """A process has ended in the middle of a task."""


class Mover:
    """One such process; it reads in a transaction of its own."""

    def __init__(self, source: SqliteSource, target: PostgresTarget) -> None:
        """Start it. It is told everything on its input: what stands on a command line, everybody on a computer sees."""
        self._source = source
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kira.adapters.database.moving.mover"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl+C is for whoever started it
        )
        self._input, self._output = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        self._may_help: bool | None = None
        self._say(str(source.path), target.address)

    def may_help(self) -> bool:
        """Wait until it is ready; say whether it is, and sees the same state of the source as this process."""
        if self._may_help is None:
            self._may_help = self._heard() is not None and self._source.is_unchanged()
        return self._may_help

    def do(self, task: Task) -> Done:
        """Let it do `task`. Raises Gone, Invalid, and OSError with why a database stopped it."""
        self._say(task.what, task.table, task.part.first, task.part.last)
        answer = self._heard()
        if answer is None:
            self._may_help = False
            raise Gone
        if "refused" in answer:
            raise Invalid(answer["refused"])
        if "stopped" in answer:
            raise OSError(answer["stopped"])
        return Done(**answer)

    def close(self, *, at_once: bool) -> None:
        """Let it end, in the middle of what it does if it has to be at once."""
        if at_once:
            self._process.kill()
        with suppress(BrokenPipeError), self._process:
            pass

    def _say(self, *what: Any) -> None:
        with suppress(BrokenPipeError):  # then it says nothing either
            self._input.write(json.dumps(what) + "\n")
            self._input.flush()

    def _heard(self) -> dict[str, Any] | None:
        line = self._output.readline()
        return json.loads(line) if line.endswith("\n") else None


class Movers:
    """As many as are worth their start; a context manager that ends them."""

    def __init__(self, source: Reader, target: Target) -> None:
        """Start none yet: there are some only where several may read and write at once."""
        self._sides = (source, target)
        self._movers: list[Mover] = []

    def __enter__(self) -> Movers:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        for mover in self._movers:
            mover.close(at_once=error is not None)

    def share(self, tasks: Sequence[Task], do: Callable[[Task], Done], then: Callable[[Task, Done], None]) -> None:
        """Do all `tasks`, some here with `do`, and tell `then` of each. Raises what one of them raised."""
        left, found = deque(tasks), SimpleQueue[tuple[Task, Done] | Exception]()
        threads = [
            threading.Thread(target=_help, args=(mover, left, found), daemon=True)
            for mover in self._worth_it(len(tasks))
        ]
        for thread in threads:
            thread.start()
        while left or threads:
            try:
                task = left.popleft()
            except IndexError:
                threads.pop().join()  # it may have put back what it could not do
            else:
                then(task, do(task))
            while not found.empty():
                given = found.get()
                if isinstance(given, Exception):
                    raise given
                then(*given)

    def _worth_it(self, tasks: int) -> list[Mover]:
        source, target = self._sides
        wanted = min(MOVERS_MAX, tasks // TASKS_EACH)
        if isinstance(source, SqliteSource) and isinstance(target, PostgresTarget):
            with suppress(OSError):  # a computer that has no room for one more goes on with those that there are
                while len(self._movers) < wanted:
                    self._movers.append(Mover(source, target))
        return self._movers[:wanted]


def _help(mover: Mover, left: deque[Task], found: SimpleQueue[tuple[Task, Done] | Exception]) -> None:
    """Let `mover` take from `left` until nothing is left, and put what it found into `found`."""
    if not mover.may_help():
        return
    while True:
        try:
            task = left.popleft()
        except IndexError:
            return
        try:
            found.put((task, mover.do(task)))
        except Gone:
            left.append(task)
            return
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            left.clear()
            found.put(error)
            return
