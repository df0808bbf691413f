"""Every queue keeps the Queue promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import homes
from tests.asking import MODEL, ask, fill, user_id
from tests.aws import Aws, aws_server

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.queue.sqs import SqsConfig, SqsQueue
from kira.adapters.queue.table import TableQueue
from kira.domain.limits import HOLD_BACK_SECONDS, LEASE_SECONDS, RUN_ATTEMPTS_MAX
from kira.domain.runs import Claim, Kind, State
from kira.ports.database import Database
from kira.ports.engine import Finished
from kira.ports.queue import Queue
from kira.services.answering import Answering, Outcome

OTHER = "other:latest"
WORKER = "here:1:1"
EVERYBODY = {MODEL: 100, OTHER: 100}
PATIENCE_S = 10


@dataclass(slots=True)
class Place:
    """A queue with the database and the clock beneath it."""

    queue: Queue
    database: Database
    clock: FixedClock

    async def ask(self, user: int, model: str = MODEL, kind: Kind = Kind.REPLY) -> str:
        """Add a waiting run, a millisecond after the one before."""
        self.clock.advance(0.001)
        run = await ask(self.database, self.clock.now(), user, model, kind)
        assert run is not None
        return run

    async def cancel(self, user: int, run: str) -> None:
        """Ask a run to stop."""
        params = {"run_id": run, "now": self.clock.now()}
        assert await self.database.of(user_id(user)).query("runs.cancel", params)

    async def end(self, claim: Claim, tokens: int) -> None:
        """End a run that cost `tokens`."""
        outcome = Outcome(State.DONE, "text", Finished(0, tokens, "stop"))
        await Answering(self.database, self.clock).end(claim, outcome, is_untitled=False)

    async def state(self, user: int, run: str) -> str:
        """Return where a run stands."""
        (row,) = await self.database.of(user_id(user)).query("runs.one", {"run_id": run})
        return str(row["state"])


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        yield server


@pytest.fixture(params=["table", "sqs"])
async def place(tmp_path: Path, request: pytest.FixtureRequest, aws: Aws) -> AsyncIterator[Place]:
    database = homes.open_database(tmp_path / "kira.sqlite")
    fill(tmp_path / "kira.sqlite", users=5)
    clock = FixedClock()
    if request.param == "table":
        queue: Queue = TableQueue(database, clock)
    else:
        queue = SqsQueue(database, clock, SqsConfig(aws.queue(), poll_s=1), lambda: aws.client("sqs"))
    yield Place(queue, database, clock)
    await queue.close()
    await database.close()


def runs_of(claims: object) -> list[str]:
    """Return the run ids of claims or places, in their order."""
    assert isinstance(claims, list)
    return [each.run_id for each in claims]


async def test_it_gives_at_most_the_room_of_each_model(place: Place) -> None:
    first = [await place.ask(0) for _ in range(3)]
    other = [await place.ask(1, OTHER) for _ in range(3)]
    assert runs_of(await place.queue.receive({MODEL: 2, OTHER: 0}, WORKER)) == first[:2]
    assert runs_of(await place.queue.receive({MODEL: 0, OTHER: 1}, WORKER)) == other[:1]
    assert await place.queue.receive({}, WORKER) == []
    assert set(runs_of(await place.queue.receive(EVERYBODY, WORKER))) == {first[2], *other[1:]}
    assert await place.queue.receive(EVERYBODY, WORKER) == []


async def test_of_a_model_that_is_loaded_elsewhere_only_what_waited_is_given(place: Place) -> None:
    run, other = await place.ask(0), await place.ask(1, OTHER)
    assert runs_of(await place.queue.receive(EVERYBODY, WORKER, {MODEL})) == [other]
    place.clock.advance(HOLD_BACK_SECONDS)
    assert runs_of(await place.queue.receive(EVERYBODY, WORKER, {MODEL})) == [run]


async def test_a_claim_says_what_is_to_be_done(place: Place) -> None:
    run = await place.ask(2, kind=Kind.WIDGET)
    (claim,) = await place.queue.receive(EVERYBODY, WORKER)
    assert (claim.user_id, claim.run_id, claim.kind) == (user_id(2), run, Kind.WIDGET)
    assert (claim.model, claim.attempt, claim.conversation_id) == (MODEL, 1, user_id(2))
    assert await place.state(2, run) == State.RUNNING


async def test_no_run_is_given_twice_to_workers_that_ask_together(place: Place) -> None:
    runs = [await place.ask(number % 5) for number in range(40)]
    taken = await asyncio.gather(*(place.queue.receive({MODEL: 3}, f"here:{n}:1") for n in range(20)))
    assert sorted(run for claims in taken for run in runs_of(claims)) == sorted(runs)


async def test_users_take_turns_however_many_runs_each_has(place: Place) -> None:
    heavy = [await place.ask(0) for _ in range(4)]
    light = [await place.ask(1) for _ in range(2)]
    expected = [heavy[0], light[0], heavy[1], light[1], heavy[2], heavy[3]]
    assert [each.run_id for each in await place.queue.places()] == expected
    assert runs_of(await place.queue.receive(EVERYBODY, WORKER)) == expected


async def test_who_received_least_of_a_model_goes_first(place: Place) -> None:
    for user in (0, 1):
        for _ in range(3):
            await place.ask(user)
    taken = [*await place.queue.receive({MODEL: 2}, WORKER)]
    for claim, tokens in zip(taken, (1_000, 100), strict=True):
        await place.end(claim, tokens)
    following = [each.user_id for each in await place.queue.places()]
    assert following == [user_id(1), user_id(1), user_id(0), user_id(0)]


async def test_who_was_away_is_owed_nothing(place: Place) -> None:
    for _ in range(3):
        await place.ask(0)
        (claim,) = await place.queue.receive({MODEL: 1}, WORKER)
        await place.end(claim, 1_000)
    for user in (0, 0, 1, 1, 1, 1, 1, 1, 1):
        await place.ask(user)
    following = [each.user_id for each in await place.queue.places()]
    assert following.index(user_id(0)) < 6


async def test_work_for_one_model_does_not_cost_a_place_in_the_line_of_another(place: Place) -> None:
    running = await place.ask(3, OTHER)
    assert runs_of(await place.queue.receive({OTHER: 1}, WORKER)) == [running]
    for _ in range(3):
        await place.ask(0)
        (claim,) = await place.queue.receive({MODEL: 1}, WORKER)
        await place.end(claim, 5_000)
    await place.ask(0)
    (busy,) = await place.queue.receive({MODEL: 1}, WORKER)
    heavy = [await place.ask(0, OTHER) for _ in range(5)]
    light = await place.ask(1, OTHER)
    assert runs_of(await place.queue.receive({OTHER: 2}, WORKER)) == [heavy[0], light]
    assert busy.model == MODEL


async def test_places_are_counted_from_one_in_the_order_of_the_claims(place: Place) -> None:
    for user in (0, 0, 1, 2):
        await place.ask(user)
    places = list(await place.queue.places())
    assert [each.position for each in places] == [1, 2, 3, 4]
    assert [each.run_id for each in places] == runs_of(await place.queue.receive(EVERYBODY, WORKER))
    assert list(await place.queue.places()) == []


async def test_background_runs_come_last_until_they_waited_a_minute(place: Place) -> None:
    title = await place.ask(0, kind=Kind.TITLE)
    reply = await place.ask(1)
    assert [each.run_id for each in await place.queue.places()] == [reply, title]
    place.clock.advance(61)
    later = [await place.ask(1), await place.ask(0)]
    assert runs_of(await place.queue.receive(EVERYBODY, WORKER))[:2] == [title, reply]
    assert await place.state(1, later[0]) == State.RUNNING


async def test_a_waiting_run_can_be_cancelled_and_is_given_to_nobody(place: Place) -> None:
    run = await place.ask(0)
    await place.cancel(0, run)
    assert await place.queue.receive(EVERYBODY, WORKER) == []
    assert await place.state(0, run) == State.CANCELLED


async def test_a_running_run_that_is_cancelled_is_told_to_its_worker_alone(place: Place) -> None:
    run, other = await place.ask(0), await place.ask(1)
    await place.queue.receive(EVERYBODY, WORKER)
    assert await place.queue.stops(WORKER, 0.001) == set()
    await place.cancel(0, run)
    place.queue.interrupt()
    async with asyncio.timeout(PATIENCE_S):
        assert await place.queue.stops(WORKER, 3600) == {run}
    assert await place.queue.stops("here:2:1", 0.001) == set()
    assert await place.state(1, other) == State.RUNNING


async def test_a_hint_wakes_whoever_waits(place: Place) -> None:
    run = await place.ask(0)
    waiting = asyncio.create_task(place.queue.wait(3600, 1))
    await asyncio.sleep(0)
    await place.queue.send(user_id(0), run, MODEL)
    async with asyncio.timeout(PATIENCE_S):
        await waiting
        (claim,) = await place.queue.receive(EVERYBODY, WORKER)
        place.queue.done(claim)
        run = await place.ask(1)
        await place.queue.send(user_id(1), run, MODEL)
        await place.queue.wait(3600, 1)  # a hint that came first is not lost
    assert runs_of(await place.queue.receive(EVERYBODY, WORKER)) == [run]


async def test_a_wake_up_is_for_whoever_waits_here(place: Place) -> None:
    waiting = asyncio.create_task(place.queue.wait(3600, 0))
    await asyncio.sleep(0)
    place.queue.wake()
    async with asyncio.timeout(PATIENCE_S):
        assert not await waiting
        place.queue.wake()
        assert not await place.queue.wait(3600, 0)  # one that came first is not lost
        assert not await place.queue.wait(0.001, 0)


async def test_it_counts_the_runs_that_are_not_ended(place: Place) -> None:
    assert await place.queue.open() == 0
    await place.ask(0)
    await place.ask(1)
    (claim,) = await place.queue.receive({MODEL: 1}, WORKER)
    assert await place.queue.open() == 2
    await place.end(claim, 10)
    assert await place.queue.open() == 1


async def test_after_the_close_runs_can_still_be_ended_and_given_back(place: Place) -> None:
    runs = [await place.ask(0), await place.ask(1)]
    claims = [*await place.queue.receive(EVERYBODY, WORKER)]
    await place.queue.close()
    await place.queue.give_back(claims[0], "Kira is restarting.", counted=False)
    await place.end(claims[1], 10)
    place.queue.done(claims[1])
    assert [each.run_id for each in await place.queue.places()] == runs[:1]


async def test_a_lease_lasts_while_it_is_renewed_and_no_longer(place: Place) -> None:
    run = await place.ask(0)
    (claim,) = await place.queue.receive(EVERYBODY, WORKER)
    for _ in range(3):
        place.clock.advance(LEASE_SECONDS - 1)
        assert await place.queue.extend([claim]) == set()
        assert list(await place.queue.recover(_alive)) == []
    place.clock.advance(LEASE_SECONDS + 1)
    (lost,) = await place.queue.recover(_alive)
    assert (lost.run_id, lost.end, lost.attempt) == (run, None, 1)
    assert await place.queue.extend([claim]) == {run}
    (again,) = await place.queue.receive(EVERYBODY, "here:2:1")
    assert (again.run_id, again.attempt) == (run, 2)
    assert await place.queue.extend([claim, again]) == {run}


async def test_what_a_dead_worker_held_goes_again_at_once(place: Place) -> None:
    run, kept = await place.ask(0), await place.ask(1)
    await place.queue.receive({MODEL: 1}, "here:2:1")
    await place.queue.receive({MODEL: 1}, WORKER)
    (lost,) = await place.queue.recover(lambda worker: worker == WORKER)
    assert lost.run_id == run
    assert runs_of(await place.queue.receive(EVERYBODY, WORKER)) == [run]
    assert await place.state(1, kept) == State.RUNNING


async def test_a_run_that_was_lost_too_often_fails_with_a_reason(place: Place) -> None:
    run = await place.ask(0)
    ends = []
    for _ in range(RUN_ATTEMPTS_MAX):
        await place.queue.receive(EVERYBODY, WORKER)
        (lost,) = await place.queue.recover(lambda _: False)
        ends.append(lost.end)
    assert ends == [None] * (RUN_ATTEMPTS_MAX - 1) + [State.FAILED]
    (row,) = await place.database.of(user_id(0)).query("runs.one", {"run_id": run})
    assert (row["state"], row["error_code"]) == (State.FAILED, "GAVE_UP")
    assert row["error_message"]


async def test_a_cancelled_run_whose_worker_is_gone_ends_cancelled(place: Place) -> None:
    run = await place.ask(0)
    await place.queue.receive(EVERYBODY, WORKER)
    await place.cancel(0, run)
    (lost,) = await place.queue.recover(lambda _: False)
    assert lost.end is State.CANCELLED
    assert await place.state(0, run) == State.CANCELLED


@pytest.mark.parametrize(("counted", "rests"), [(False, False), (True, True)])
async def test_a_run_that_is_given_back_goes_again(place: Place, counted: bool, rests: bool) -> None:
    run = await place.ask(0)
    (claim,) = await place.queue.receive(EVERYBODY, WORKER)
    await place.queue.give_back(claim, "Kira is restarting.", counted=counted)
    (row,) = await place.database.of(user_id(0)).query("runs.one", {"run_id": run})
    assert (row["state"], row["reason"]) == (State.QUEUED, "Kira is restarting.")
    assert (await place.queue.receive(EVERYBODY, WORKER) == []) is rests
    place.clock.advance(1)
    again = [*await place.queue.receive(EVERYBODY, WORKER)]
    assert len(again) == int(rests)


async def test_only_the_holder_can_give_a_run_back(place: Place) -> None:
    run = await place.ask(0)
    (old,) = await place.queue.receive(EVERYBODY, WORKER)
    await place.queue.recover(lambda _: False)
    await place.queue.receive(EVERYBODY, "here:2:1")
    await place.queue.give_back(old, "late", counted=True)
    assert await place.state(0, run) == State.RUNNING


async def test_it_says_which_models_are_wanted_and_ends_what_waits_for_none(place: Place) -> None:
    kept, hopeless = await place.ask(0), [await place.ask(1, OTHER), await place.ask(2, OTHER)]
    assert sorted(await place.queue.wanted()) == sorted([MODEL, OTHER])
    lost = await place.queue.fail_model(OTHER, "MODEL_NOT_FOUND", "Pull it.")
    assert {(each.run_id, each.end) for each in lost} == {(run, State.FAILED) for run in hopeless}
    assert list(await place.queue.wanted()) == [MODEL]
    (row,) = await place.database.of(user_id(1)).query("runs.one", {"run_id": hopeless[0]})
    assert (row["error_code"], row["error_message"]) == ("MODEL_NOT_FOUND", "Pull it.")
    assert runs_of(await place.queue.receive(EVERYBODY, WORKER)) == [kept]


def _alive(_: str) -> bool:
    return True
