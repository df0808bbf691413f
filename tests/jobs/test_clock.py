"""The clock's rounds find what nobody else would, and there is always a next one while runs are open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests import homes
from tests.asking import MODEL, ask, fill, user_id
from tests.aws import Aws, aws_server

from kira.adapters.alarm.timer import TimerAlarm
from kira.adapters.clock.fixed import FixedClock
from kira.adapters.engine.elsewhere import ElsewhereEngine
from kira.adapters.queue.sqs import SqsConfig, SqsQueue
from kira.adapters.queue.table import TableQueue
from kira.adapters.roster.table import TableRoster
from kira.adapters.stream.process import ProcessStream
from kira.domain.errors import Unavailable
from kira.domain.limits import HINT_LOST_SECONDS, LEASE_SECONDS, MODEL_MISSED_SECONDS, ROUND_SECONDS, SWEEP_SECONDS
from kira.domain.moments import DAY, HOUR, SECOND
from kira.jobs.clock import SWEEP_HOUR, Rounds
from kira.jobs.line import Herald
from kira.ports.database import Database
from kira.ports.engine import Fleet, Model, Server
from kira.ports.queue import Queue
from kira.services.waiting import Line

EVERYBODY = {MODEL: 10}
FLEET = Fleet((Model(MODEL, "test"),), (Server("http://a", "ok", "one of 1", MODEL, 1, 0),), MODEL)


@dataclass
class Night:
    """Nobody is here but the clock."""

    database: Database
    clock: FixedClock = field(default_factory=FixedClock)
    stream: ProcessStream = field(default_factory=ProcessStream)
    swept: int = 0

    def __post_init__(self) -> None:
        """Make the rounds."""
        self.alarm = TimerAlarm(self.clock)
        self.rounds = self.made(TableQueue(self.database, self.clock))

    def made(self, queue: Queue, *hosted: str) -> Rounds:
        """Return what makes rounds on `queue`."""
        roster = TableRoster(self.database, self.clock, "clock")
        herald = Herald(queue, self.stream, ElsewhereEngine(roster), Line(), roster, hosted=hosted)
        return Rounds(queue, herald, roster, self.clock, self.alarm, [self.sweep])

    async def sweep(self) -> None:
        """Count the sweeps."""
        self.swept += 1

    async def ask(self, model: str = MODEL) -> str:
        """Add a waiting run."""
        run = await ask(self.database, self.clock.now(), 0, model)
        assert run is not None
        return run

    async def state(self, run: str) -> tuple[str, str | None]:
        """Return where a run stands, and why it failed."""
        (row,) = await self.database.of(user_id(0)).query("runs.one", {"run_id": run})
        return row["state"], row["error_code"]


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    database = homes.open_database(tmp_path / "kira.sqlite")
    fill(tmp_path / "kira.sqlite", users=1)
    made = Night(database)
    yield made
    await made.alarm.close()
    await database.close()


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        yield server


async def test_a_run_whose_worker_died_goes_again_after_its_lease(night: Night) -> None:
    run = await night.ask()
    await night.rounds.queue.receive(EVERYBODY, "dead:1:1")
    assert await night.rounds.go() == 1
    assert await night.state(run) == ("running", None)
    night.clock.advance(LEASE_SECONDS + 1)
    assert await night.rounds.go() == 1
    assert await night.state(run) == ("queued", None)
    assert await night.stream.knows(user_id(0), run)  # its reader was told


async def test_while_a_run_is_open_the_next_round_is_soon(night: Night) -> None:
    await night.ask()
    await night.rounds.go()
    assert night.alarm.moment == night.clock.now() + ROUND_SECONDS * SECOND


async def test_when_nothing_is_open_the_next_round_is_the_sweep_of_the_day_for_all_who_ask(night: Night) -> None:
    moments = set()
    for _ in range(5):
        assert await night.rounds.go() == 0
        moments.add(night.alarm.moment)
        night.clock.advance(1)
    (moment,) = moments
    assert moment is not None
    assert (moment - SWEEP_HOUR * HOUR) % DAY == 0
    assert 0 < moment - night.clock.now() <= DAY


async def test_a_round_that_fails_is_followed_by_another_one_soon(night: Night) -> None:
    async def fail() -> None:
        raise Unavailable(retry_after_s=1)

    night.rounds.sweeps = [fail]
    with pytest.raises(Unavailable):
        await night.rounds.go()
    assert night.alarm.moment == night.clock.now() + ROUND_SECONDS * SECOND


async def test_what_has_expired_is_swept_now_and_then(night: Night) -> None:
    for _ in range(3):
        await night.rounds.go()
    assert night.swept == 1
    night.clock.advance(SWEEP_SECONDS)
    await night.rounds.go()
    assert night.swept == 2


async def test_a_run_whose_hint_was_lost_is_hinted_at_again(night: Night, aws: Aws) -> None:
    queue = SqsQueue(night.database, night.clock, SqsConfig(aws.queue(), poll_s=1), lambda: aws.client("sqs"))
    rounds, run = night.made(queue), await night.ask()
    await rounds.go()
    assert not await queue.wait(0.1, 1)
    night.clock.advance(HINT_LOST_SECONDS + 1)
    await rounds.go()
    while not await queue.wait(5, 1):
        pass
    assert [claim.run_id for claim in await queue.receive(EVERYBODY, "here:1:1")] == [run]
    await queue.close()


async def test_a_run_whose_model_nobody_has_ends_when_workers_are_there(night: Night) -> None:
    run, kept, hosted = await night.ask("gone:1b"), await night.ask(), await night.ask("hosted")
    rounds = night.made(night.rounds.queue, "hosted")
    night.clock.advance(MODEL_MISSED_SECONDS + 1)
    await rounds.go()
    assert await night.state(run) == ("queued", None)  # the workers may all be asleep
    await TableRoster(night.database, night.clock, "worker").tell(FLEET)
    assert await rounds.go() == 2
    assert await night.state(run) == ("failed", "MODEL_NOT_FOUND")
    assert [await night.state(each) for each in (kept, hosted)] == [("queued", None)] * 2
