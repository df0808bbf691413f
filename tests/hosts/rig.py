"""Kira on several hosts: PostgreSQL, instances, workers with an Ollama each, and Caddy, all processes of loopback."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tests.bench.rig import free_port, wait_for
from tests.engines import FAST
from tests.hosts import files
from tests.local.rig import kira

from kira.adapters.database.postgres.embedded import Embedded

PASSWORD = "a password of the application's role"
PATIENCE_SECONDS = int(files.unit("kira.service")["TimeoutStopSec"])
TRUSTED = "local all all trust\nhost all kira_app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
QUIET = {name: value for name, value in os.environ.items() if not name.startswith(("KIRA_", "OLLAMA_"))}


@dataclass
class Program:
    """A program that can be started, stopped, killed and started again."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    address: str = ""
    ready: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Program:
        """Start it unless it runs; `wait` returns when it answers."""
        if self.process is not None and self.process.poll() is None:
            return self
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)
        return self

    def wait(self) -> Program:
        """Return when it answers."""
        try:
            if self.ready:
                wait_for(self.address + self.ready, PATIENCE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{self.name} does not answer:\n{self.log.read_text()[-3000:]}") from None
        return self

    def stop(self) -> int:
        """Stop it as systemd does, and return what it ended with."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Return what it ended with, once it has."""
        assert self.process is not None
        return self.process.wait(PATIENCE_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Postgres:
    """A server on loopback whose passwords count, with a database for each Kira."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        folder.chmod(0o755)
        self.folder, self.port = folder, free_port()
        (folder / "hba").write_text(TRUSTED)
        self.start()

    def make(self, name: str) -> str:
        """Make a database ready with `kira db init`; return the address that it prints."""
        with psycopg.connect(self.own("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        done = kira(self.folder / "nothing", "db", "init", self.own(name), KIRA_PASSWORD=PASSWORD)
        assert done.code == 0, done.err
        return str(re.findall(r"^KIRA_DATABASE=(.+)$", done.out, re.MULTILINE)[0])

    def own(self, database: str) -> str:
        """Return the address of the superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server on what is there; it ends with the thread that started it."""
        options = [*FAST, "-c", f"hba_file={self.folder / 'hba'}"]
        self.server = Embedded(self.folder / "pg", port=self.port, options=options)

    def stop(self) -> None:
        """Stop the server and disconnect everybody."""
        self.server.stop()


@dataclass
class Hosts:
    """All of it; `shared` are settings that every process has, on top of those of kira.env."""

    folder: Path
    postgres: Postgres
    name: str
    database: str
    shared: dict[str, str] = field(default_factory=dict)
    instances: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)
    models: list[Program] = field(default_factory=list)
    proxy: str = ""
    _programs: list[Program] = field(default_factory=list)

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Read what no user may."""
        with psycopg.connect(self.postgres.own(self.name), options="-c search_path=kira") as connection:
            return connection.execute(sql.encode(), params).fetchall()

    @property
    def addresses(self) -> list[str]:
        """Where the instances listen."""
        return [each.address for each in self.instances]

    def program(
        self, name: str, command: Sequence[str], environment: dict[str, str], address: str = "", ready: str = ""
    ) -> Program:
        """Make a program whose end is the end of the rig."""
        log = self.folder / f"{name}.log"
        made = Program(name, command, {**QUIET, **environment}, log, address, ready)
        self._programs.append(made)
        return made

    def instance(self, **settings: str) -> Program:
        """Make an instance as its unit says."""
        name, port = f"kira{len(self._programs)}", free_port()
        own = self._settings(name, KIRA_HOST="127.0.0.1", KIRA_PORT=str(port), **settings)
        made = self.program(name, files.command_of("kira.service"), own, f"http://127.0.0.1:{port}", "/api/health")
        self.instances.append(made)
        return made

    def worker(self, model: Program, slots: int = 2, **settings: str) -> Program:
        """Make a worker beside a model server, as its unit says."""
        name = f"worker{len(self._programs)}"
        own = self._settings(name, KIRA_OLLAMA=model.address, OLLAMA_NUM_PARALLEL=str(slots), **settings)
        made = self.program(name, files.command_of("kira-worker.service"), own)
        self.workers.append(made)
        return made

    def model(self, *, slots: int = 2, rate: float = 200, models: str = "test:latest", load: float = 0) -> Program:
        """Make the test model server that stands for an Ollama."""
        port = free_port()
        command = [sys.executable, "-m", "kira.testing.model_server", "--port", str(port), "--slots", str(slots)]
        command += ["--rate", str(rate), "--first", "0.02", "--models", models, "--load", str(load)]
        made = self.program(f"model{port}", command, {}, f"http://127.0.0.1:{port}", "/api/version")
        self.models.append(made)
        return made

    def caddy(self, **environment: str) -> Program:
        """Make Caddy in front of all instances, with the very file of deploy/."""
        port = free_port()
        own = {
            "SITE": f"http://:{port}",
            "INSTANCES": " ".join(address.removeprefix("http://") for address in self.addresses),
            "CADDY_ADMIN": "off",
            "XDG_DATA_HOME": str(self.folder / "caddy"),
            "XDG_CONFIG_HOME": str(self.folder / "caddy"),
        }
        command = [files.tool("caddy"), "run", "--config", str(files.DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
        self.proxy = f"http://127.0.0.1:{port}"
        return self.program("caddy", command, own | environment, self.proxy, "/api/health")

    def start(self, *programs: Program) -> None:
        """Start all that are given, or everything, and return when all answer."""
        begun = [each.start() for each in programs or self._programs]
        for each in begun:
            each.wait()

    def close(self) -> None:
        """End everything."""
        for each in reversed(self._programs):
            each.kill()

    def _settings(self, name: str, **settings: str) -> dict[str, str]:
        data = {"KIRA_DATA": str(self.folder / name), "KIRA_DATABASE": self.database, "KIRA_PROXIES": "127.0.0.1"}
        standard = {"KIRA_ACCOUNTS": "open", "KIRA_LIMIT_API": "100000/1m", "KIRA_LIMIT_CONVERSATION": "45/1h"}
        return files.settings() | standard | data | self.shared | settings


@contextmanager
def open_postgres(folder: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL that is ready for Kira until the block ends."""
    made = Postgres(folder)
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def open_hosts(folder: Path, postgres: Postgres, **shared: str) -> Iterator[Hosts]:
    """Give hosts on which nothing runs yet; the end of the block ends whatever does."""
    name = re.sub(r"\W", "", folder.name)
    key = {"KIRA_MASTER_KEY": secrets.token_urlsafe(32)}
    made = Hosts(folder, postgres, name, postgres.make(name), key | shared)
    try:
        yield made
    finally:
        made.close()


def fill(hosts: Hosts) -> Hosts:
    """Put three instances, two workers with model servers of different slots, and Caddy on `hosts`, and start."""
    for _ in range(3):
        hosts.instance()
    for slots in (2, 4):
        hosts.worker(hosts.model(slots=slots), slots)
    hosts.caddy()
    hosts.start()
    return hosts


async def roll(*programs: Program) -> None:
    """Restart instances and workers as systemd does, one after the other."""
    for program in programs:
        assert await asyncio.to_thread(program.stop) == 0, program.log.read_text()[-2000:]
        await asyncio.to_thread(program.start)
        await asyncio.to_thread(program.wait)
