"""Kira is killed at hundreds of points of runs' lives: no message is lost, none is doubled, every run ends."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.bench.rig import Process, model_server, users
from tests.faults.rig import PATIENCE_S, TOKENS_PER_SECOND, Users, check_messages, check_runs, phases
from tests.local.rig import kira_up, rows

SEED = 20_261_124
LIVES = 27
OPEN = 24
"""So many messages are kept without an end."""
SLOTS = 10
USERS = 4
POINTS_MIN = 200
FIRST_WORD_S = 0.1
SETTINGS = {
    "KIRA_ACCOUNTS": "open",
    "KIRA_LIMIT_API": "off",
    "KIRA_LIMIT_CONVERSATION": "off",
    "OLLAMA_NUM_PARALLEL": str(SLOTS),
}


@dataclass(frozen=True)
class Killed:
    """What is left after the last start: the data, what was sent, and in which phase how many runs were killed."""

    data: Path
    users: Users
    phases: Counter[str]

    def look(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Read what is there."""
        return rows(self.data, sql, *params)


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with model_server(slots=SLOTS, tokens=8, rate=TOKENS_PER_SECOND, first=FIRST_WORD_S) as process:
        yield process


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, server: Process) -> Killed:
    data = tmp_path_factory.mktemp("killed") / "data"
    data.mkdir()
    tokens = asyncio.run(users(data, USERS))
    return asyncio.run(_many_lives(data, tokens, server.address))


async def _many_lives(data: Path, tokens: list[str], ollama: str) -> Killed:
    chance = random.Random(SEED)
    everybody, found = Users(tokens, chance), Counter[str]()
    settings = {**SETTINGS, "KIRA_OLLAMA": ollama}
    for life in range(LIVES):
        with kira_up(data, 0, **settings) as kira:
            moment = everybody.moment(life, chance.uniform(0.02, 1.0))
            await everybody.live(kira.address, max(2, OPEN - everybody.open), moment, kira.kill)
            found += phases(everybody, partial(rows, data))
    with kira_up(data, 0, **settings) as kira:
        await everybody.live(kira.address, 0, lambda: everybody.until_all_ended(partial(rows, data)), kira.kill)
    return Killed(data, everybody, found)


def test_runs_were_killed_in_every_phase(killed: Killed) -> None:
    assert sum(killed.phases.values()) >= POINTS_MIN, killed.phases
    assert sum(killed.phases.values()) - killed.phases["queued"] >= POINTS_MIN / 2, killed.phases
    for phase in ("queued", "claimed", "streaming", "finishing"):
        assert killed.phases[phase] >= 3, killed.phases


def test_every_acknowledged_message_is_there_exactly_once(killed: Killed) -> None:
    check_messages(killed.users, killed.look)


def test_every_accepted_run_ended_with_one_answer_or_a_reason(killed: Killed) -> None:
    check_runs(killed.users, killed.look)


def test_background_runs_were_among_them(killed: Killed) -> None:
    assert killed.look("SELECT COUNT(*) FROM runs WHERE kind = 'title'")[0][0] >= 1


def test_the_file_is_sound(killed: Killed) -> None:
    assert rows(killed.data, "PRAGMA integrity_check") == [("ok",)]
    assert rows(killed.data, "PRAGMA foreign_key_check") == []


async def test_a_stop_without_grace_hands_the_answer_back_and_the_next_start_gives_it(
    tmp_path: Path, server: Process
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (token,) = await users(data, 1)
    settings = {**SETTINGS, "KIRA_OLLAMA": server.address, "KIRA_GRACE_S": "0"}
    headers = {"Authorization": f"Bearer {token}"}
    answer = " ".join(f"word{place}" for place in range(40))
    with kira_up(data, 0, **settings) as kira:
        async with aiohttp.ClientSession(kira.address, headers=headers) as session:
            async with session.post("/api/conversations", json={"title": "a title"}) as response:
                conversation = (await response.json())["id"]
            path = f"/api/conversations/{conversation}/messages"
            async with session.post(path, json={"content": f"say:{answer}"}) as response:
                run = (await response.json())["run"]["id"]
            async with session.get(f"/api/runs/{run}/events") as response:
                while b"event: delta" not in await response.content.readline():
                    pass
        assert await asyncio.to_thread(kira.stop, signal.SIGTERM) == 0
    handed = rows(data, "SELECT state, failures, lease, reason FROM runs WHERE id = ?", run)
    assert handed == [("queued", 0, None, "Kira is restarting; the answer begins again.")]
    with kira_up(data, 0, **settings):
        end = time.monotonic() + PATIENCE_S
        while rows(data, "SELECT state FROM runs WHERE id = ?", run) != [("done",)]:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
    assert rows(data, "SELECT content FROM messages WHERE role = 'assistant'") == [(answer,)]
