"""The rig: a model server and a Kira as real processes, users with sessions, and clients that measure."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests import homes

from kira.domain.accounts import AccountsMode
from kira.domain.guests import Guest
from kira.local.settings import read
from kira.local.world import Local
from kira.services.enrolment import Form
from kira.services.kira import Kira

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
MODEL = "test:latest"


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """A process that the rig started."""

    process: subprocess.Popen[str]
    address: str

    def tree(self) -> list[int]:
        """Return the process's id and those of its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def cpu_s(self) -> float:
        """Return the CPU seconds spent so far by all its processes."""
        total = 0
        for pid in self.tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / CLOCK_TICKS

    def rss_mib(self) -> float:
        """Return the resident memory of all its processes in MiB."""
        total = 0
        for pid in self.tree():
            found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            total += int(found[1]) if found else 0
        return total / 1024

    def stop(self) -> None:
        """End it and wait."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def model_server(*, slots: int, tokens: int = 100, rate: float = 50, first: float = 0.05) -> Iterator[Process]:
    """Run the test model server: `rate` tokens a second and stream, `first` seconds to the first token."""
    port = free_port()
    command = [sys.executable, "-m", "kira.testing.model_server", "--port", str(port), "--slots", str(slots)]
    command += ["--rate", str(rate), "--first", str(first), "--tokens", str(tokens)]
    process = Process(subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL), f"http://127.0.0.1:{port}")
    try:
        wait_for(process.address + "/api/version")
        yield process
    finally:
        process.stop()


@contextmanager
def kira_up(data: Path, ollama: str, **settings: str) -> Iterator[Process]:
    """Run `kira up` on `data` and wait for its first 200."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KIRA_")}
    environment |= {"KIRA_DATA": str(data), "KIRA_PORT": str(port), "KIRA_OLLAMA": ollama, **settings}
    command = [str(Path(sys.executable).with_name("kira")), "up"]
    process = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    started = Process(process, f"http://127.0.0.1:{port}")
    try:
        wait_for(started.address + "/api/health")
        yield started
    finally:
        started.stop()


def wait_for(address: str, seconds: float = 20) -> None:
    """Return when `address` answers 200."""
    host, port = re.fullmatch(r"http://([\d.]+):(\d+)/.*", address).groups()  # type: ignore[union-attr]
    path = address.partition(port)[2]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, int(port)), 1) as connection:
                connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                if b" 200 " in connection.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.003)
    raise TimeoutError(address)


async def users(data: Path, count: int, **options: str) -> list[str]:
    """Make `count` users with a session each on `data`; return their access tokens. `options` are settings."""
    database = homes.settings(data).get("KIRA_DATABASE")
    settings = read(**{"data": str(data), "accounts": "open", "database": database, **options})
    world = Local(settings)
    try:
        kira = Kira(world, AccountsMode.OPEN)
        tokens = []
        for number in range(count):
            email, password = f"user{number}@example.org", "correct horse battery"
            await kira.accounts.add_user(Form(email, password))
            signed_in = await kira.accounts.sign_in(email, password, Guest("127.0.0.1", "bench"))
            tokens.append(signed_in.access_token)
        return tokens
    finally:
        await world.close()


@asynccontextmanager
async def client(address: str, token: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client with as many connections as it needs."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(address, headers=headers, connector=connector, timeout=timeout) as session:
        yield session


@dataclass
class Answer:
    """One streamed answer: seconds to its first text and to its end, and whether it came whole."""

    first_s: float
    total_s: float
    text: str
    whole: bool


async def direct(session: aiohttp.ClientSession, content: str) -> Answer:
    """Ask the model server itself."""
    began = time.perf_counter()
    first, parts, whole = 0.0, [], False
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}], "stream": True}
    body["options"] = {"num_batch": 512}  # as Kira asks, so that neither makes the server load the model again
    async with session.post("/api/chat", json=body) as response:
        async for line in response.content:
            piece = json.loads(line)
            if text := piece["message"]["content"]:
                first = first or time.perf_counter() - began
                parts.append(text)
            whole = whole or bool(piece["done"])
    return Answer(first, time.perf_counter() - began, "".join(parts), whole)


async def ask(session: aiohttp.ClientSession, headers: dict[str, str], content: str) -> str | None:
    """Begin a conversation with a message; return the id of its run, or None when it was refused."""
    async with session.post("/api/conversations", headers=headers) as response:
        conversation = await response.json()
    path = f"/api/conversations/{conversation['id']}/messages"
    async with session.post(path, json={"content": content}, headers=headers) as response:
        asked = await response.json()
    return asked["run"]["id"] if "run" in asked else None


async def through_kira(session: aiohttp.ClientSession, token: str, content: str) -> Answer:
    """Begin a conversation, send a message and read its events: three requests, the clock runs from the first."""
    headers = {"Authorization": f"Bearer {token}"}
    began = time.perf_counter()
    run_id = await ask(session, headers, content)
    return await follow(session, headers, run_id, began) if run_id else Answer(0, 0, "", False)


async def follow(session: aiohttp.ClientSession, headers: dict[str, str], run_id: str, began: float) -> Answer:
    """Read a run's events to their end."""
    first, parts, kind = 0.0, [], ""
    async with session.get(f"/api/runs/{run_id}/events", headers=headers) as response:
        async for line in response.content:
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif kind == "delta" and line.startswith(b"data: "):
                first = first or time.perf_counter() - began
                parts.append(json.loads(line[6:])["text"])
    return Answer(first, time.perf_counter() - began, "".join(parts), kind == "done")


async def together(asking: list[Any]) -> list[Answer]:
    """Run all coroutines at the same moment."""
    return list(await asyncio.gather(*asking))


async def stats(straight: aiohttp.ClientSession) -> dict[str, float]:
    """Return what the model server counted."""
    async with straight.get("/test/stats") as response:
        found: dict[str, float] = await response.json()
        return found


async def until_idle(straight: aiohttp.ClientSession) -> None:
    """Return when the model server has had nothing to do for a moment."""
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.2)
        found = await stats(straight)
        quiet = 0 if found["running"] or found["waiting"] else quiet + 1
