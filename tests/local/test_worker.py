"""`kira worker` beside `kira up --no-worker`: two processes, one file, one answer."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.rig import Answer, Process, client, follow, free_port, model_server, wait_for

from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import open_vault
from kira.services.tokens import Tokens

KIRA = str(Path(sys.executable).with_name("kira"))


@contextmanager
def process(data: Path, address: str, *command: str, ollama: str) -> Iterator[None]:
    """Run a command of Kira's on `data` until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KIRA_")}
    environment |= {"KIRA_DATA": str(data), "KIRA_PORT": address.rpartition(":")[2], "KIRA_OLLAMA": ollama}
    started = Process(
        subprocess.Popen([KIRA, *command], env=environment, stdout=subprocess.DEVNULL, text=True), address
    )
    try:
        yield
    finally:
        started.stop()


def test_a_worker_of_its_own_answers_and_the_reader_hears_the_whole_answer(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with (
        model_server(slots=2, tokens=20, rate=200) as server,
        process(tmp_path, address, "up", "--no-worker", ollama=server.address),
        process(tmp_path, address, "worker", ollama=server.address),
    ):
        wait_for(address + "/api/health")
        answer = asyncio.run(_ask(address, Tokens(open_vault(tmp_path), SystemClock()).local()))
    assert answer.whole
    assert len(answer.text.split()) == 20


async def _ask(address: str, token: str) -> Answer:
    async with client(address) as session:
        async with session.post("/api/auth/local", json={"token": token}) as response:
            headers = {"Authorization": f"Bearer {(await response.json())['access_token']}"}
        async with session.post("/api/conversations", headers=headers) as response:
            conversation = await response.json()
        path = f"/api/conversations/{conversation['id']}/messages"
        async with session.post(path, json={"content": "word"}, headers=headers) as response:
            asked = await response.json()
        async with asyncio.timeout(60):
            return await follow(session, headers, asked["run"]["id"], 0.0)
