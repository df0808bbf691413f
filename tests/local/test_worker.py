"""`kira worker` beside `kira up --no-worker`: processes of their own, one file, one answer word by word."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from tests import homes
from tests.bench.rig import Process, client, free_port, model_server, wait_for
from tests.contracts.streams import redis_server

from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import open_vault
from kira.services.tokens import Tokens

KIRA = str(Path(sys.executable).with_name("kira"))
TOKENS = 60


@dataclass(frozen=True)
class Frame:
    """One event as it came."""

    number: str
    kind: str
    text: str = ""


@dataclass
class Place:
    """Where Kira's processes of one test run, and what they share."""

    data: Path
    ollama: str
    settings: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def worker(self) -> Iterator[Process]:
        """Run a worker until the end of the block."""
        with self._process("worker", "") as started:
            yield started

    @contextmanager
    def up(self) -> Iterator[str]:
        """Run a Kira that does not work until the end of the block; gives its address."""
        address = f"http://127.0.0.1:{free_port()}"
        with self._process("up", address, "--no-worker"):
            wait_for(address + "/api/health")
            yield address

    @contextmanager
    def _process(self, command: str, address: str, *more: str) -> Iterator[Process]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KIRA_")}
        environment |= {"KIRA_DATA": str(self.data), "KIRA_OLLAMA": self.ollama}
        environment |= homes.settings(self.data) | self.settings
        environment |= {"KIRA_PORT": address.rpartition(":")[2]} if address else {}
        called = [KIRA, command, *more]
        process = Process(subprocess.Popen(called, env=environment, stdout=subprocess.DEVNULL, text=True), address)
        try:
            yield process
        finally:
            process.stop()

    @asynccontextmanager
    async def visitor(self, address: str) -> AsyncIterator[aiohttp.ClientSession]:
        """Sign the local user in."""
        token = Tokens(open_vault(self.data), SystemClock()).local()
        async with client(address) as session:
            async with session.post("/api/auth/local", json={"token": token}) as response:
                session.headers["Authorization"] = f"Bearer {(await response.json())['access_token']}"
            yield session


@pytest.fixture(params=["table", "redis"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    with model_server(slots=2, tokens=TOKENS, rate=40) as server:
        if request.param == "table":
            yield Place(tmp_path, server.address)
            return
        async with redis_server() as address:
            yield Place(tmp_path, server.address, {"KIRA_STREAM": address})


async def asked(session: aiohttp.ClientSession) -> str:
    """Ask something as soon as a worker has told which models there are; return the run's id."""
    async with session.post("/api/conversations") as response:
        conversation = await response.json()
    for _ in range(60):
        path = f"/api/conversations/{conversation['id']}/messages"
        async with session.post(path, json={"content": "word"}) as response:
            if response.status == 202:
                return str((await response.json())["run"]["id"])
            assert response.status == 503, await response.text()
        await asyncio.sleep(0.5)
    raise AssertionError("no worker came")


async def frames(session: aiohttp.ClientSession, path: str, after: str = "") -> AsyncIterator[Frame]:
    """Read events until the stream ends."""
    headers = {"Last-Event-ID": after} if after else {}
    number, kind = "", ""
    async with session.get(path, headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as response:
        async for raw in response.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            number = value if name == "id" else number
            kind = value if name == "event" else kind
            if name == "data":
                yield Frame(number, kind, json.loads(value).get("text", ""))


def text_of(found: list[Frame]) -> str:
    return "".join(frame.text for frame in found if frame.kind == "delta")


async def test_words_of_a_worker_of_its_own_arrive_one_by_one(place: Place) -> None:
    with place.up() as address, place.worker():
        async with place.visitor(address) as session:
            run_id = await asked(session)
            found = [frame async for frame in frames(session, f"/api/runs/{run_id}/events")]
    kinds = [frame.kind for frame in found]
    assert kinds.count("delta") > 3  # told from the table, it would be one
    assert kinds[-1] == "done"
    assert len(text_of(found).split()) == TOKENS


async def test_a_reader_goes_on_at_another_instance(place: Place) -> None:
    with place.up() as first, place.up() as second, place.worker():
        async with place.visitor(first) as here, place.visitor(second) as there:
            run_id = await asked(here)
            found = []
            async for frame in frames(here, f"/api/runs/{run_id}/events"):
                found.append(frame)
                if [each.kind for each in found].count("delta") == 4:
                    break
            found += [frame async for frame in frames(there, f"/api/runs/{run_id}/events", found[-1].number)]
            again = [frame async for frame in frames(there, f"/api/runs/{run_id}/events", found[3].number)]
    kinds = [frame.kind for frame in found]
    assert "restart" not in kinds
    assert (kinds[-1], kinds.count("done")) == ("done", 1)
    assert len(text_of(found).split()) == TOKENS
    assert again == found[4:]


@pytest.mark.parametrize("place", ["table"], indirect=True)
async def test_all_runs_of_a_user_are_heard_from_a_worker_of_its_own(place: Place) -> None:
    with place.up() as address, place.worker():
        async with place.visitor(address) as session:
            await asked(session)
            found = [frame async for frame in frames(session, "/api/events")]
    kinds = [frame.kind for frame in found]
    assert kinds[-1] == "idle"
    assert kinds.count("delta") > 3


async def test_when_a_worker_is_killed_another_begins_again_and_readers_hear_it(place: Place) -> None:
    with place.up() as address, place.worker() as killed:
        async with place.visitor(address) as session:
            run_id = await asked(session)
            found: list[Frame] = []
            reading = frames(session, f"/api/runs/{run_id}/events")
            async for frame in reading:
                found.append(frame)
                if [each.kind for each in found].count("delta") == 4:
                    break
            killed.process.kill()
            killed.process.wait()
            with place.worker():
                found += [frame async for frame in reading]
    kinds = [frame.kind for frame in found]
    assert (kinds.count("restart"), kinds[-1]) == (1, "done")
    after = found[kinds.index("restart") :]
    assert [frame.kind for frame in after].count("delta") > 3
    assert len(text_of(after).split()) == TOKENS
    numbers = [int(frame.number) for frame in found]
    assert numbers == sorted(set(numbers))
