"""PgBouncer in transaction mode before a server of tests: two connections to the server, whoever asks."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

SERVER_CONNECTIONS = 2
_PORT = 6432
_READY_SECONDS_MAX = 30
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_SETTINGS = f"""
[databases]
* = host={{server}} port=5432
[pgbouncer]
listen_port = {{port}}
unix_socket_dir = {{folder}}
auth_type = trust
auth_file = {{folder}}/users
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
max_client_conn = 500
server_idle_timeout = 3
autodb_idle_timeout = 5
"""


class Bouncer:
    """One PgBouncer; `folder` is to be empty and within reach of the account `nobody`."""

    def __init__(self, folder: Path, server: Path, users: tuple[str, ...], *settings: str, port: int = _PORT) -> None:
        """Start it before the server whose socket lies in `server`, for `users`, and wait until it listens.

        `settings` are further lines; of two for the same thing the last counts.
        """
        found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert found, "PgBouncer is missing: install it (Debian: apt-get install pgbouncer) and run the tests again."
        folder.mkdir(parents=True)
        (folder / "users").write_text("".join(f'"{user}" ""\n' for user in users))
        lines = (_SETTINGS.format(server=server, folder=folder, port=port), *settings)
        (folder / "settings").write_text("\n".join(lines))
        identity = _identity(folder)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [found, str(folder / "settings")],
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, and no thread holds a lock there
                **identity,
            )
        self.folder = folder
        self._await(folder / f".s.PGSQL.{port}")

    def address(self, user: str, database: str) -> str:
        """Return the connection string of `user`."""
        return f"host={self.folder} port={_PORT} dbname={database} user={user}"

    def let_in(self, user: str, password: str) -> None:
        """Let `user` in with this password from now on, and with no other."""
        users = self.folder / "users"
        users.write_text(f'"{user}" "{password}"\n')
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Stop it at once."""
        self.process.terminate()
        self.process.wait(_READY_SECONDS_MAX)

    def _await(self, path: Path) -> None:
        end = time.monotonic() + _READY_SECONDS_MAX
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(path))
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError((self.folder / "log").read_text(errors="replace"))


def _identity(folder: Path) -> dict[str, Any]:
    """Return whose it is: it refuses to be root's."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
