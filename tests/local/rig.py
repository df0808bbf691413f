"""Runs the real `kira` command: for a moment, in a terminal, or as a server until a test ends."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import homes

KIRA = str(Path(sys.executable).with_name("kira"))
PATIENCE_SECONDS = 60
NOBODY = "http://127.0.0.1:9"  # the discard port: no model server answers there
MODEL = "test:latest"
PASSWORD = "correct horse battery"
# How far long work is. When a second has passed is the machine's affair; test_terminal.py sees that it is said.
PROGRESS = re.compile(r"^[A-Z][\w ]*: \d+ %.*\n", re.MULTILINE)


def environment(data: Path, **settings: str) -> dict[str, str]:
    """Return an environment in which only `settings` and the data folder are set."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KIRA_", "OLLAMA_"))}
    return (
        clean
        | {"KIRA_DATA": str(data), "KIRA_OLLAMA": NOBODY, "TERM": "xterm", "COLUMNS": "100"}
        | homes.settings(data)
        | settings
    )


@dataclass(frozen=True)
class Done:
    """What a command printed, without how far it was meanwhile, and how it ended."""

    code: int
    out: str
    err: str


def ask(data: Path, address: str, text: str, **settings: str) -> Done:
    """Ask the Kira at `address` once, of the test model server's model."""
    return kira(data, "chat", "--url", address, "--model", MODEL, text, **settings)


def kira(data: Path, *arguments: str, stdin: str = "", **settings: str) -> Done:
    """Run one command to its end, without a terminal."""
    done = subprocess.run(
        [KIRA, *arguments],
        env=environment(data, **settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout, PROGRESS.sub("", done.stderr))


@dataclass
class Running:
    """A Kira that runs, with all it printed so far in `log`."""

    data: Path
    process: subprocess.Popen[str]
    address: str
    log: Path

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return what it ended with."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def kira_up(data: Path, port: int = 0, **settings: str) -> Iterator[Running]:
    """Run `kira up` until the block ends."""
    log = data.parent / f"up-{time.monotonic_ns()}.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            [KIRA, "up", "--port", str(port)],
            env=environment(data, PYTHONUNBUFFERED="1", **settings),
            stdout=written,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Running(data, process, _address(log, process), log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def model_server(*, rate: float = 1000, tokens: int = 20, slots: int = 4) -> Iterator[str]:
    """Run the test model server until the block ends; yields its address."""
    command = [sys.executable, "-m", "kira.testing.model_server", "--first", "0.01", "--slots", str(slots)]
    command += ["--port", "0", "--rate", str(rate), "--tokens", str(tokens)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        process.kill()
        process.communicate()


def _address(log: Path, process: subprocess.Popen[str]) -> str:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"Kira is ready: (http://[\d.:]+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.01)
    raise AssertionError(f"Kira did not start:\n{log.read_text()}")


@dataclass
class Terminal:
    """A command in a terminal of 24 lines of 100 columns."""

    pid: int
    keyboard: int
    seen: str = field(default="", init=False)
    _read: int = field(default=0, init=False)

    def wait_for(self, text: str) -> None:
        """Return when `text` appears after what was waited for before."""
        end = time.monotonic() + PATIENCE_SECONDS
        while text not in self.seen[self._read :]:
            assert time.monotonic() < end, f"{text!r} did not come:\n{self.seen[self._read :]}"
            assert self._take(0.1), f"it ended before {text!r} came:\n{self.seen[self._read :]}"
        self._read = self.seen.index(text, self._read) + len(text)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.keyboard, text.encode())

    def end(self) -> int:
        """Wait for the end of the command and return what it ended with."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self._take(0.1):
            assert time.monotonic() < end, f"it does not end:\n{self.seen}"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _take(self, seconds: float) -> bool:
        """Read what came; False at the end."""
        if not select.select([self.keyboard], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.keyboard, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.seen += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def in_terminal(data: Path, *arguments: str, **settings: str) -> Iterator[Terminal]:
    """Run one command in a terminal; the block ends it if it did not end."""
    command = [KIRA, *arguments]
    env = environment(data, **settings)
    pid, keyboard = pty.fork()
    if pid == 0:
        os.execve(command[0], command, env)
    fcntl.ioctl(keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    try:
        yield Terminal(pid, keyboard)
    finally:
        os.close(keyboard)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it ended by itself


def rows(data: Path, sql: str, *params: object) -> list[tuple[object, ...]]:
    """Read from the database of a data folder."""
    return homes.look(data, sql, *params)
