"""The process of one execution environment: started with what Lambda gives it, frozen, thawed, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.rehearsal.host.reaper import reaper

DEATH_SECONDS = 10


class Process:
    """A process group of its own, whose output goes to the function's log."""

    def __init__(self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        """Start it."""
        with log.open("ab") as written:
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        self._guard = threading.Lock()
        reaper().watch(self._popen.pid)
        self.frozen = 0
        """How often it was frozen."""

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs or is frozen."""
        return self._popen.poll() is None

    def when_ended(self, tell: Callable[[int], None]) -> None:
        """Call `tell` with what it ended with, once it has."""
        threading.Thread(target=lambda: tell(self._popen.wait()), daemon=True).start()

    def freeze(self) -> None:
        """Give it no time on the processor."""
        self._signal(signal.SIGSTOP)
        self.frozen += 1

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once and wait for its end."""
        self._signal(signal.SIGKILL)
        self._popen.wait(DEATH_SECONDS)
        reaper().forget(self._popen.pid)

    def _signal(self, number: signal.Signals) -> None:
        with self._guard:
            # While a thread waits for the end, `poll` does not know of it yet.
            if self._popen.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._popen.pid, number)
