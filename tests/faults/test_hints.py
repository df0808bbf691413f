"""Hints in SQS that are lost, doubled, late, or held under a stale handle: each costs time, and never a run."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import homes
from tests.asking import MODEL, ask, fill, user_id
from tests.aws import Aws, aws_server
from tests.sqs import Receipts, Strict, Unreliable

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.queue.sqs import SqsConfig, SqsQueue
from kira.domain.limits import HINT_LOST_SECONDS, LEASE_SECONDS
from kira.domain.runs import Claim, State
from kira.ports.database import Database, NoRow
from kira.ports.engine import Finished
from kira.services.answering import Answering, Outcome

HOSTED = "hosted"
USERS = 5
PATIENCE_S = 30
NOBODY = "http://127.0.0.1:9"  # the discard port: nobody answers there
ON_BOTH = pytest.mark.parametrize("hosts", ["lenient", "strict"], indirect=True)
"""The test server deletes under old handles too, which AWS may do or not."""
NAMES = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible")


@dataclass
class Hosts:
    """Processes on one database and the same two queues; with `receipts` old handles are worth what AWS promises."""

    path: Path
    database: Database
    aws: Aws
    receipts: Receipts | None
    clock: FixedClock = field(default_factory=FixedClock)
    queues: list[SqsQueue] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the queues."""
        self.url, self.hosted_url = self.aws.queue(), self.aws.queue()
        self.plain = self.aws.client("sqs")

    def client(self) -> Any:
        """Make the client of a process."""
        client = self.aws.client("sqs")
        return Strict(client, self.receipts) if self.receipts is not None else client

    def process(self, client: Callable[[], Any] | None = None) -> SqsQueue:
        """Return the queue as one more process has it."""
        config = SqsConfig(self.url, self.hosted_url, frozenset({HOSTED}), poll_s=1)
        made = SqsQueue(self.database, self.clock, config, client or self.client)
        self.queues.append(made)
        return made

    async def ask(self, user: int = 0, model: str = MODEL) -> str:
        """Add a waiting run."""
        self.clock.advance(0.001)
        run = await ask(self.database, self.clock.now(), user, model)
        assert run is not None
        return run

    async def end(self, claim: Claim) -> bool:
        """Write the end of a run; say whether the claim was still held."""
        outcome = Outcome(State.DONE, "text", Finished(0, 10, "stop"))
        try:
            await Answering(self.database, self.clock).end(claim, outcome, is_untitled=False)
        except NoRow:
            return False
        return True

    def hints(self, url: str | None = None) -> tuple[int, int]:
        """Return how many hints can be received, now or soon, and how many are held."""
        told = self.plain.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=NAMES)["Attributes"]
        visible, delayed, held = (int(told[name]) for name in NAMES)
        return visible + delayed, held

    def ended(self) -> Counter[str]:
        """Return how many runs ended in each state, and how many answers there are."""
        states = Counter(str(state) for (state,) in homes.look(self.path, "SELECT state FROM runs"))
        ((answers,),) = homes.look(self.path, "SELECT COUNT(*) FROM messages WHERE role = 'assistant'")
        return states + Counter(answers=int(answers))


async def received(queue: SqsQueue, free: int = 1) -> list[Claim]:
    """Return what a worker with `free` slots claims at its next hint."""
    async with asyncio.timeout(PATIENCE_S):
        while not await queue.wait(PATIENCE_S, free):
            pass
    return [*await queue.receive({MODEL: free}, f"host{id(queue)}:1:1")]


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        yield server


@pytest.fixture
async def hosts(request: pytest.FixtureRequest, tmp_path: Path, aws: Aws) -> AsyncIterator[Hosts]:
    path = tmp_path / "kira.sqlite"
    database = homes.open_database(path)
    fill(path, USERS)
    made = Hosts(path, database, aws, Receipts() if getattr(request, "param", "") == "strict" else None)
    yield made
    await asyncio.gather(*(queue.close() for queue in made.queues))
    await database.close()


async def test_a_lost_hint_is_found_by_the_clock_and_sent_once(hosts: Hosts) -> None:
    queue, run = hosts.process(), await hosts.ask()
    assert await queue.send_again() == 0  # it may be on its way
    hosts.clock.advance(HINT_LOST_SECONDS + 1)
    assert await queue.send_again() == 1
    assert await queue.send_again() == 0
    (claim,) = await received(queue)
    assert claim.run_id == run
    assert await hosts.end(claim)


async def test_hints_of_a_long_line_are_not_sent_again(hosts: Hosts) -> None:
    queue = hosts.process()
    for user in range(USERS):
        await queue.send(user_id(user), await hosts.ask(user), MODEL)
    lost = [await hosts.ask(user) for user in range(2)]
    hosts.clock.advance(HINT_LOST_SECONDS + 1)
    assert await queue.send_again() == len(lost)
    assert hosts.hints() == (USERS + len(lost), 0)


async def test_a_doubled_hint_leads_to_one_claim_and_is_deleted(hosts: Hosts) -> None:
    queue, run = hosts.process(), await hosts.ask()
    for _ in range(3):
        await queue.send(user_id(0), run, MODEL)
    (claim,) = await received(queue, free=3)
    other = hosts.process()
    while hosts.hints()[0]:
        assert await received(other) == []
        await other.close()
        other = hosts.process()
    assert await hosts.end(claim)
    queue.done(claim)
    await queue.close()
    assert hosts.hints() == (0, 0)
    assert hosts.ended() == Counter(done=1, answers=1)


async def test_a_late_hint_of_a_run_that_ended_leads_to_nothing_and_is_deleted(hosts: Hosts) -> None:
    queue, run = hosts.process(), await hosts.ask()
    (claim,) = await queue.receive({MODEL: 1}, "host:1:1")
    assert await hosts.end(claim)
    await queue.send(user_id(0), run, MODEL)
    assert await received(queue) == []
    await queue.close()
    assert hosts.hints() == (0, 0)
    assert hosts.ended() == Counter(done=1, answers=1)


async def test_a_hint_that_names_one_run_begins_whichever_is_next(hosts: Hosts) -> None:
    queue = hosts.process()
    first, second = await hosts.ask(0), await hosts.ask(1)
    await queue.send(user_id(1), second, MODEL)
    (claim,) = await received(queue)
    assert claim.run_id == first
    assert hosts.hints() == (0, 1)
    queue.done(claim)
    await queue.send(user_id(0), first, MODEL)  # it comes late, and serves the other
    (claim,) = await received(queue)
    assert claim.run_id == second


@ON_BOTH
async def test_a_stale_handle_neither_ends_nor_begins_anything(hosts: Hosts) -> None:
    """A worker is away until its hint is received by another one, and then goes on with the handle it has."""
    away, run = hosts.process(), await hosts.ask()
    await away.send(user_id(0), run, MODEL)
    (claim,) = await received(away)
    await away._own.hold(list(away._held.values()), 0)  # its visibility ends
    here = hosts.process()
    assert await received(here) == []  # nothing waits: the hint is deleted under its new handle
    await here.close()
    assert await away.extend([claim]) == set()
    assert await hosts.end(claim)
    away.done(claim)
    await away.close()
    assert hosts.receipts is None or hosts.receipts.stale.total() >= 2
    assert hosts.hints() == (0, 0)
    assert hosts.ended() == Counter(done=1, answers=1)


@ON_BOTH
async def test_a_stale_handle_takes_nothing_from_whoever_holds_the_run_now(hosts: Hosts) -> None:
    """The lease ran out too: the run goes again elsewhere under the same hint, and then the first worker wakes up."""
    away, here, run = hosts.process(), hosts.process(), await hosts.ask()
    await away.send(user_id(0), run, MODEL)
    (old,) = await received(away)
    hosts.clock.advance(LEASE_SECONDS + 1)
    (lost,) = await here.recover(lambda _: True)
    assert lost.run_id == run
    await away._own.hold(list(away._held.values()), 0)
    (new,) = await received(here, free=2)
    assert (new.run_id, new.attempt) == (run, 2)
    assert await away.extend([old]) == {run}
    assert not await hosts.end(old)
    away.done(old)
    await away.give_back(old, "late", counted=True)
    await away.close()
    assert hosts.receipts is None or hosts.receipts.stale.total() >= 1
    assert await here.extend([new]) == set()
    # Whatever became of the hint, a second death is found as the first was.
    hosts.clock.advance(LEASE_SECONDS + 1)
    assert [each.run_id for each in await here.recover(lambda _: True)] == [run]
    (again,) = await received(hosts.process())
    assert await hosts.end(again)
    assert hosts.ended() == Counter(done=1, answers=1)


async def test_no_more_hints_are_received_than_slots_are_free(hosts: Hosts) -> None:
    queue = hosts.process()
    for user in range(USERS):
        await queue.send(user_id(user), await hosts.ask(user), MODEL)
    assert len(await received(queue, free=2)) == 2
    assert hosts.hints() == (USERS - 2, 2)
    assert not await queue.wait(0.2, 0)
    assert hosts.hints() == (USERS - 2, 2)


async def test_a_hint_that_this_worker_can_do_nothing_with_is_soon_with_another(hosts: Hosts) -> None:
    full, able = hosts.process(), hosts.process()
    run = await hosts.ask()
    await full.send(user_id(0), run, MODEL)
    assert await full.wait(PATIENCE_S, 1)
    assert await full.receive({MODEL: 0, "other": 1}, "full:1:1") == []
    (claim,) = await received(able)
    assert claim.run_id == run


async def test_what_stops_gives_its_hints_back_at_once(hosts: Hosts) -> None:
    queue = hosts.process()
    for user in range(2):
        await queue.send(user_id(user), await hosts.ask(user), MODEL)
    (claim,) = await received(queue)
    assert await queue.wait(PATIENCE_S, 1)  # received, and then it is told to stop
    assert hosts.hints() == (0, 2)
    await queue.close()
    assert hosts.hints() == (1, 1)
    await queue.give_back(claim, "Kira is restarting.", counted=False)
    assert hosts.hints() == (2, 0)
    assert not await queue.wait(0.01, 5)
    assert len(await received(hosts.process(), free=5)) == 2


async def test_runs_of_the_hosted_provider_have_a_queue_of_their_own(hosts: Hosts) -> None:
    queue = hosts.process()
    await queue.send(user_id(0), await hosts.ask(0), MODEL)
    await queue.send(user_id(1), await hosts.ask(1, HOSTED), HOSTED)
    lost = await hosts.ask(2, HOSTED)
    assert (hosts.hints(), hosts.hints(hosts.hosted_url)) == ((1, 0), (1, 0))
    hosts.clock.advance(HINT_LOST_SECONDS + 1)
    assert await queue.send_again() == 1
    assert (hosts.hints(), hosts.hints(hosts.hosted_url)) == ((1, 0), (2, 0))
    assert len(await received(queue)) == 1
    (claim,) = [each for each in await queue.receive({HOSTED: 1}, "agent:1:1") if each.model == HOSTED]
    await queue.give_back(claim, "Kira is restarting.", counted=False)
    assert hosts.hints(hosts.hosted_url) == (3, 0)
    assert lost in {place.run_id for place in await queue.places()}


async def test_without_sqs_runs_are_accepted_and_found_when_it_is_back(hosts: Hosts) -> None:
    apart = hosts.process(lambda: Aws(NOBODY).client("sqs", retries={"total_max_attempts": 1}))
    run = await hosts.ask()
    await apart.send(user_id(0), run, MODEL)
    hosts.clock.advance(HINT_LOST_SECONDS + 1)
    assert await apart.send_again() == 0
    queue = hosts.process()
    assert await queue.send_again() == 1
    (claim,) = await received(queue)
    assert claim.run_id == run


@dataclass
class Storm:
    """Workers that die, give back and forget, a clock, and an SQS on a bad day."""

    hosts: Hosts
    chance: random.Random
    runs: int
    met: Counter[str] = field(default_factory=Counter)

    @property
    def goes_on(self) -> bool:
        """Say whether a run is not ended."""
        ended = self.hosts.ended()
        return ended["done"] + ended["failed"] < self.runs

    def process(self) -> SqsQueue:
        """Return the queue as one more process has it."""
        return self.hosts.process(lambda: Unreliable(self.hosts.client(), self.chance, self.met))

    async def work(self, queue: SqsQueue) -> None:
        """Work as a worker does that looks at the table when it is hinted to, and never else."""
        while self.goes_on:
            if await queue.wait(0.2, 3):
                for claim in await queue.receive({MODEL: self.chance.randint(0, 3)}, f"host{id(queue)}:1:1"):
                    await self.suffer(queue, claim)

    async def suffer(self, queue: SqsQueue, claim: Claim) -> None:
        """Let a claim have its fate."""
        fate = self.chance.choice(("end", "end", "end", "end without a word", "die", "give back"))
        self.met[fate] += 1
        if fate == "give back":
            await queue.give_back(claim, "It begins again.", counted=False)
        elif fate != "die" and not await self.hosts.end(claim):
            self.met["ended too late"] += 1
        if fate == "end":
            queue.done(claim)

    async def rounds(self, queue: SqsQueue) -> None:
        """Find what was lost, as the clock does."""
        while self.goes_on:
            await asyncio.sleep(0.2)
            self.hosts.clock.advance(HINT_LOST_SECONDS + 1)
            await queue.recover(lambda _: True)
            await queue.send_again()


@ON_BOTH
@pytest.mark.parametrize("seed", range(2))
async def test_every_run_ends_once_whatever_happens_to_hints_and_workers(hosts: Hosts, seed: int) -> None:
    storm = Storm(hosts, random.Random(seed), runs=30)
    door = storm.process()
    for number in range(storm.runs):
        await door.send(user_id(number % USERS), await hosts.ask(number % USERS), MODEL)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(storm.work(storm.process()) for _ in range(3)), storm.rounds(door))
    ended = hosts.ended()
    assert ended["done"] + ended["failed"] == storm.runs
    assert ended["answers"] == ended["done"] > storm.runs / 2
    assert {"lost", "doubled", "late", "deletion lost", "end", "die", "give back"} <= storm.met.keys(), storm.met
