"""Sees to it that no process of a function outlives the tests, even when these are killed: one that is frozen would."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import cache

SCRIPT = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class Reaper:
    """A process that reads which groups there are, and ends them when nobody writes any more."""

    def __init__(self) -> None:
        """Start it."""
        command = [sys.executable, "-S", "-c", SCRIPT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        self._guard = threading.Lock()

    def watch(self, group: int) -> None:
        """End the group later."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """The group has ended by itself."""
        self._tell(f"-{group}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._guard:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()


@cache
def reaper() -> Reaper:
    """Return the one of this process."""
    return Reaper()
