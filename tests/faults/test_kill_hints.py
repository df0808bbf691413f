"""Workers on SQS are killed with hundreds of runs in their hands, and SQS does its worst: every run ends once."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import homes
from tests.asking import ask, fill, user_id
from tests.aws import CREDENTIALS, Aws, aws_server
from tests.bench.rig import MODEL, Process, model_server
from tests.faults.rig import may_give_up
from tests.local.rig import KIRA, environment, rows
from tests.sqs import Unreliable

from kira.adapters.clock.system import SystemClock
from kira.adapters.queue.sqs import SqsConfig, SqsQueue
from kira.domain.limits import HINT_LOST_SECONDS, RUN_ATTEMPTS_MAX
from kira.domain.moments import SECOND
from kira.ports.database import Database

SEED = 20_261_125
WORKERS = 3
SLOTS = 16
USERS = 6
OPEN = 60
"""So many runs are kept without an end."""
POINTS_MIN = 200
HELD_MIN = SLOTS * 3 // 4
KILLS_MAX = 60
PATIENCE_S = 120


@dataclass
class Place:
    """The database, the queue, what was asked, and on which attempts of runs each killed worker was working."""

    data: Path
    database: Database
    aws: Aws
    url: str
    ollama: str
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    asked: dict[str, str] = field(default_factory=dict)
    killed: list[set[tuple[str, int]]] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    workers: deque[subprocess.Popen[bytes]] = field(default_factory=deque)
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Send by an SQS on a bad day, and find lost hints as soon as a clock that runs ahead."""
        self.clock, ahead = SystemClock(), SystemClock()
        ahead.ahead = (HINT_LOST_SECONDS + 1) * SECOND
        self.plain = self.aws.client("sqs")
        config = SqsConfig(self.url)
        self.door = SqsQueue(self.database, self.clock, config, lambda: Unreliable(self.plain, self.chance, self.met))
        self.late = SqsQueue(self.database, ahead, config, lambda: self.plain)

    def start(self) -> None:
        """Start one more worker."""
        settings = {"KIRA_QUEUE": self.url, "KIRA_OLLAMA": self.ollama, "OLLAMA_NUM_PARALLEL": str(SLOTS)}
        log = self.stack.enter_context((self.data.parent / f"worker{len(self.killed)}.log").open("ab"))
        env = environment(self.data, **settings, **CREDENTIALS)
        self.workers.append(subprocess.Popen([KIRA, "worker"], env=env, stdout=log, stderr=log))

    def held(self, worker: subprocess.Popen[bytes]) -> set[tuple[str, int]]:
        """Return the runs that a worker is working on, each with the number of its attempt."""
        sql = "SELECT id, attempt FROM runs WHERE state = 'running' AND lease LIKE ?"
        return {(str(run), int(str(attempt))) for run, attempt in rows(self.data, sql, f"%:{worker.pid}:%")}

    @property
    def met_by_kills(self) -> int:
        """How many runs killed workers were working on, taken together."""
        return sum(map(len, self.killed))

    def open(self) -> int:
        """Return how many runs are not ended."""
        return int(str(rows(self.data, "SELECT COUNT(*) FROM runs WHERE state IN ('queued', 'running')")[0][0]))

    async def fill(self) -> None:
        """Ask until so many runs are open."""
        for _ in range(OPEN - self.open()):
            number, user = len(self.asked), self.chance.randrange(USERS)
            answer = f"answer {number} of many"
            run = await ask(self.database, self.clock.now(), user, MODEL, content=f"say:{answer}")
            if run is not None:
                self.asked[run] = answer
                await self.door.send(user_id(user), run, MODEL)

    async def kill(self) -> None:
        """Kill the worker that has been there longest while it works on many runs, and start another."""
        worker = self.workers.popleft()
        async with asyncio.timeout(PATIENCE_S):
            while len(self.held(worker)) < HELD_MIN:
                assert worker.poll() is None, "a worker ended by itself"
                await asyncio.sleep(0.02)
                await self.fill()
        moment = time.monotonic() + self.chance.uniform(0, 1)
        while time.monotonic() < moment:  # without new ones, it might have nothing left to be killed with
            await self.fill()
            await asyncio.sleep(0.02)
        worker.send_signal(signal.SIGSTOP)  # what it works on stays as it is while it is counted
        held = self.held(worker)
        worker.kill()
        worker.wait()
        self.killed.append(held | self.held(worker))  # a server may have done what was on its way
        self.start()

    async def weather(self) -> None:
        """Steal hints, hold them until the handles of others are stale, and send them twice, again and again."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.02, 0.1))
            await asyncio.to_thread(self.chance.choice((self.steal, self.borrow, self.double)))

    def steal(self) -> None:
        """Let hints be lost."""
        for message in self.receive():
            self.plain.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            self.met["stolen"] += 1

    def borrow(self) -> None:
        """Let hints come late, and delete them under a handle that is stale by then."""
        for message in self.receive():
            self.plain.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
            if self.chance.random() < 0.5:
                self.plain.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            self.met["stale"] += 1

    def double(self) -> None:
        """Send hints of any run, also of one that has ended."""
        for run in self.chance.sample(sorted(self.asked), min(2, len(self.asked))):
            self.plain.send_message(QueueUrl=self.url, MessageBody=run, MessageGroupId="nobody")
            self.met["sent again"] += 1

    def receive(self) -> list[Any]:
        """Receive a hint for a moment, as nobody's worker."""
        told = self.plain.receive_message(QueueUrl=self.url, MaxNumberOfMessages=2, VisibilityTimeout=1)
        return list(told.get("Messages", ()))

    async def rounds(self) -> None:
        """Send again what is lost, as the clock does."""
        while True:
            await asyncio.sleep(0.5)
            await self.door.recover(lambda _: True)
            await self.late.send_again()

    async def storm(self) -> None:
        """Kill until so many runs were met, and then wait until all have ended."""
        for _ in range(WORKERS):
            self.start()
        await self.fill()
        around = [asyncio.create_task(self.weather()), asyncio.create_task(self.rounds())]
        try:
            while self.met_by_kills < POINTS_MIN:
                assert len(self.killed) < KILLS_MAX, self.killed
                await self.kill()
            async with asyncio.timeout(PATIENCE_S):
                while self.open():
                    await asyncio.sleep(0.1)
        finally:
            for task in around:
                task.cancel()
            await asyncio.gather(*around, return_exceptions=True)

    async def close(self) -> None:
        """Stop the workers as systemd does, and kill what does not stop."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            await asyncio.to_thread(worker.wait, PATIENCE_S)
        self.stack.close()
        await self.door.close()
        await self.late.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with model_server(slots=WORKERS * SLOTS, tokens=4, rate=4, first=0.1) as process:
        yield process


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, server: Process) -> Iterator[Place]:
    data = tmp_path_factory.mktemp("hints") / "data"
    data.mkdir()
    with aws_server() as aws:
        yield asyncio.run(_stormed(data, aws, server.address))


async def _stormed(data: Path, aws: Aws, ollama: str) -> Place:
    database = homes.open_database(data / "kira.sqlite")
    await database.system.query("queue.open")  # the file is made
    fill(data / "kira.sqlite", USERS)
    made = Place(data, database, aws, aws.queue(), ollama)
    try:
        await made.storm()
    finally:
        await made.close()
        await database.close()
    return made


def test_workers_were_killed_with_hundreds_of_runs_in_their_hands_and_hints_went_every_way(place: Place) -> None:
    assert place.met_by_kills >= POINTS_MIN
    assert all(place.killed)
    ways = {"lost", "doubled", "late", "deletion lost", "stolen", "stale", "sent again"}
    assert ways - {"deletion lost"} <= place.met.keys() <= ways, place.met


def test_every_run_ended_once_and_no_answer_is_doubled_or_lost(place: Place) -> None:
    found = rows(place.data, "SELECT id, state, error_code, attempt FROM runs WHERE kind = 'reply'")
    assert {str(run) for run, *_ in found} == place.asked.keys()
    lost = may_give_up(set().union(*place.killed))
    assert len(lost) < len(found)
    for run, state, error, attempt in found:
        answers = rows(place.data, "SELECT content FROM messages WHERE role = 'assistant' AND run_id = ?", run)
        if str(run) in lost and state == "failed":
            assert (error, attempt, answers) == ("GAVE_UP", RUN_ATTEMPTS_MAX, [])
        else:
            assert (state, answers) == ("done", [(place.asked[str(run)],)])


def test_no_run_is_held_and_no_hint_is_left_that_leads_somewhere(place: Place) -> None:
    assert rows(place.data, "SELECT COUNT(*) FROM runs WHERE lease IS NOT NULL OR ended_at IS NULL") == [(0,)]
