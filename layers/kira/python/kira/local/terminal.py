"""How commands speak: with colour and bars on a terminal, in plain lines everywhere else."""

from __future__ import annotations

import getpass
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from kira.domain.errors import Invalid

SHOWN_AFTER_SECONDS = 1.0
LINES_EVERY_SECONDS = 10.0

Tell = Callable[[int, int], None]
"""Takes how much is done and how much there is in all."""

_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # sequences that a terminal obeys (ECMA-48)
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


def out() -> Console:
    """Return the console of what was asked for; it knows whether it is a terminal, and honours NO_COLOR."""
    return Console(highlight=False, soft_wrap=True)


def aside() -> Console:
    """Return the console of everything else: questions, progress, hints."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def harmless(text: str) -> str:
    """Return `text` without what moves a cursor, changes a title or turns writing round: it may be a model's."""
    return _CONTROLS.sub("", text)


def counted(number: int, noun: str) -> str:
    """Return `1 user`, `2 users`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: aligned on a terminal, one line of tab-separated fields a row elsewhere."""
    console = out()
    if not console.is_terminal:
        for row in rows:
            print("\t".join(harmless(field) for field in row))
        return
    drawn = Table(*headings, box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    for row in rows:
        drawn.add_row(*(Text(harmless(field)) for field in row))
    console.print(drawn)


def confirm(question: str) -> bool:
    """Ask a yes-or-no question; raises Invalid where nobody can answer."""
    if not sys.stdin.isatty():
        raise Invalid(f"{question} Nobody can answer here; say --yes.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def new_password() -> str:
    """Ask twice for a new password; raises Invalid when the two differ or nobody can answer."""
    if not sys.stdin.isatty():
        raise Invalid("There is no terminal to ask for a password. Give it in KIRA_PASSWORD.")
    first = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != first:
        raise Invalid("The two passwords differ. Nothing was changed.")
    return first


@contextmanager
def progress(
    label: str, console: Console | None = None, after_s: float = SHOWN_AFTER_SECONDS, *, unit: str | None = None
) -> Iterator[Tell]:
    """Show how far a piece of work is, once it has taken `after_s` seconds; call what it yields as it goes.

    With a `unit` it is also shown how many of them are done in a second.
    """
    console = console or aside()
    pace = _Pace(unit)
    shown = _Bar(label, console, after_s, pace) if console.is_terminal else _Lines(label, console, after_s, pace)
    try:
        yield shown.tell
    finally:
        shown.close()


class _Pace:
    """How fast a piece of work goes, from when it was first told: it may go on where an earlier one stopped."""

    def __init__(self, unit: str | None) -> None:
        self._unit = unit
        self._first: tuple[float, int] | None = None

    def told(self, done: int, total: int, *, with_end: bool) -> str:
        now = time.monotonic()
        began, before = self._first = self._first or (now, done)
        if not self._unit or done == before or now == began:
            return ""
        rate = (done - before) / (now - began)
        end = f", {max(0, total - done) / rate:,.0f} s to go" if with_end else ""
        return f"{rate:,.0f} {self._unit}/s{end}"


class _Bar:
    def __init__(self, label: str, console: Console, after_s: float, pace: _Pace) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(),
        )
        self._pace = pace
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(label, total=None, pace="")
        self._begins = time.monotonic() + after_s
        self._live = False

    def tell(self, done: int, total: int) -> None:
        pace = self._pace.told(done, total, with_end=False)
        self._bar.update(self._task, completed=done, total=total, pace=pace)
        if not self._live and time.monotonic() >= self._begins:
            self._live = True
            self._bar.start()

    def close(self) -> None:
        if self._live:
            self._bar.stop()


class _Lines:
    def __init__(self, label: str, console: Console, after_s: float, pace: _Pace) -> None:
        self._pace = pace
        self._label = label
        self._console = console
        self._next = time.monotonic() + after_s

    def tell(self, done: int, total: int) -> None:
        pace = self._pace.told(done, total, with_end=True)
        now = time.monotonic()
        if now >= self._next and total > 0:
            self._next = now + LINES_EVERY_SECONDS
            shown = f" ({pace})" if pace else ""
            self._console.print(f"{self._label}: {100 * done // total} %{shown}", markup=False)

    def close(self) -> None:
        pass
