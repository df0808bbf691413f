"""The queue over a simulated day: nothing is lost, nobody starves, work is shared out evenly, slots are kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import homes
from tests.asking import fill, number_of
from tests.simulation.simulator import RATE, Seen, Simulator, Wait

from kira.domain.runs import Kind

SEED = 20_261_124
USERS = 1_000
BIG, SMALL = "big:latest", "small:latest"
SLOTS = {BIG: 3, SMALL: 2}
WORKERS = 3
HEAVY = 20
DAY_S = 900.0
SERVICE_S = 3.0
"""About the mean time of an answer in the simulated day."""
ENDLESS = 10
ENDLESS_S = 600.0


@dataclass(frozen=True)
class Day:
    """What was seen of a simulated day, and its database."""

    seen: Seen
    path: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read from the day's database."""
        return homes.look(self.path, sql)

    def waits(self, wanted: Callable[[Wait], bool]) -> list[float]:
        """Return the seconds that the wanted runs waited; those cancelled before they began did not get so far."""
        return [wait.seconds for wait in self.seen.waits.values() if wanted(wait) and wait.began is not None]


@asynccontextmanager
async def simulator(path: Path, users: int, seed: int, workers: int, slots: dict[str, int]) -> AsyncIterator[Simulator]:
    """Open a simulator over a fresh database with `users` users."""
    database = homes.open_database(path)
    fill(path, users)
    try:
        yield Simulator(database, seed, workers, slots)
    finally:
        await database.close()


async def busy_day(path: Path, users: int, seed: int, seconds: float) -> Seen:
    """Let `users` users live for `seconds`: most ask now and then, some ask a lot; workers die and freeze."""
    async with simulator(path, users, seed, WORKERS, SLOTS) as simulation:
        simulation.failing = 0.03
        plan = random.Random(seed + 1)
        for user in range(users):
            _plan_user(simulation, plan, user, seconds, is_heavy=user < users * HEAVY // USERS)
        for place in range(1, round(seconds / 60)):
            simulation.at(place * 60, _accident(simulation, plan.choice(["die", "die far away", "freeze"]), plan))
        await simulation.run()
        return simulation.seen


def _plan_user(simulation: Simulator, plan: random.Random, user: int, seconds: float, *, is_heavy: bool) -> None:
    bursts = [plan.uniform(0, seconds) for _ in range(3 if is_heavy else 1 + (plan.random() < 0.6))]
    for moment in bursts:
        for place in range(plan.randint(10, 60) if is_heavy else 1):
            kind = Kind.WIDGET if plan.random() < 0.08 else Kind.REPLY
            model = BIG if plan.random() < 0.7 else SMALL
            cancel = plan.uniform(0.1, 30) if plan.random() < 0.06 else None
            simulation.at(moment + place * 0.05, _asking(simulation, user, model, kind, cancel))


def _asking(
    simulation: Simulator, user: int, model: str, kind: Kind, cancel: float | None
) -> Callable[[], Awaitable[None]]:
    async def ask() -> None:
        run = await simulation.ask(user, model, kind)
        if run is not None and cancel is not None:
            simulation.at(cancel, lambda: simulation.cancel(user, run))

    return ask


def _accident(simulation: Simulator, what: str, plan: random.Random) -> Callable[[], Awaitable[None]]:
    async def happen() -> None:
        hand = plan.choice(simulation.hands.well())
        if what == "freeze":
            await simulation.freeze(hand, 45)
        else:
            hand.is_near = what == "die"
            await simulation.die(hand, 5)

    return happen


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    path = tmp_path_factory.mktemp("day") / "kira.sqlite"
    return Day(asyncio.run(busy_day(path, USERS, SEED, DAY_S)), path)


def test_every_accepted_run_ends_exactly_once(day: Day) -> None:
    seen = day.seen
    assert len(seen.waits) > 3_500
    assert set(seen.ends) == set(seen.waits)
    assert set(seen.ends.values()) == {1}
    ended = dict(day.rows("SELECT state, COUNT(*) FROM runs GROUP BY state"))
    assert ended == {state: seen.counts[state] for state in ("done", "failed", "cancelled") if seen.counts[state]}
    assert day.rows("SELECT COUNT(*) FROM runs WHERE state = 'failed' AND error_message IS NULL") == [(0,)]


def test_every_answered_question_has_exactly_one_answer(day: Day) -> None:
    done = day.rows("SELECT COUNT(*), COUNT(DISTINCT answer_id) FROM runs WHERE kind = 'reply' AND state = 'done'")
    answers = "SELECT COUNT(*), COUNT(DISTINCT run_id) FROM messages WHERE role = 'assistant' AND cancelled = 0"
    assert done == day.rows(answers)
    assert done[0][0] == done[0][1]


def test_everything_that_can_go_wrong_went_wrong(day: Day) -> None:
    for what in ("refused", "cancelled", "handed back", "recovered", "lease lost", "died", "froze"):
        assert day.seen.counts[what] >= 5, what


def test_nobody_who_asks_little_waits_long_behind_those_who_ask_much(day: Day) -> None:
    light = sorted(day.waits(lambda wait: wait.user >= HEAVY and wait.kind is Kind.REPLY))
    heavy = sorted(day.waits(lambda wait: wait.user < HEAVY and wait.kind is Kind.REPLY))
    assert len(light) > 1_000
    assert light[len(light) // 2] < 0.5 * SERVICE_S
    assert light[len(light) * 99 // 100] < 4 * SERVICE_S
    assert light[-1] < 20 * SERVICE_S
    assert heavy[len(heavy) // 2] > 10 * SERVICE_S


def test_background_runs_wait_for_patience_and_their_users_own_runs_only(day: Day) -> None:
    light = sorted(day.waits(lambda wait: wait.user >= HEAVY and wait.kind is not Kind.REPLY))
    heavy = max(day.waits(lambda wait: wait.user < HEAVY and wait.kind is Kind.REPLY))
    assert len(light) > 200
    assert light[-1] < 60 + 20 * SERVICE_S
    assert max(day.waits(lambda wait: wait.kind is not Kind.REPLY)) < 2 * (60 + heavy)


async def test_the_same_seed_gives_the_same_trace(tmp_path: Path) -> None:
    traces = [await busy_day(tmp_path / f"{number}.sqlite", 120, SEED + number // 2, 180) for number in range(3)]
    assert len(traces[0].trace) > 800
    assert traces[0].digest() == traces[1].digest()
    assert traces[0].digest() != traces[2].digest()


async def test_a_light_user_waits_one_service_time_behind_forty_runs(tmp_path: Path) -> None:
    async with simulator(tmp_path / "kira.sqlite", 2, SEED, 1, {BIG: 4}) as simulation:
        simulation.tokens_of = lambda _: 100
        for place in range(40):
            simulation.at(place * 0.001, _asking(simulation, 0, BIG, Kind.REPLY, None))
        simulation.at(1.0, _asking(simulation, 1, BIG, Kind.REPLY, None))
        await simulation.run()
    (light,) = [wait for wait in simulation.seen.waits.values() if wait.user == 1 and wait.kind is Kind.REPLY]
    assert light.seconds <= 1.1 * 100 / RATE
    assert simulation.seen.counts["done"] == len(simulation.seen.waits)


@pytest.mark.parametrize("slots", [{BIG: 1}, {BIG: 4}, {BIG: 2, SMALL: 3}], ids=["one slot", "four", "two models"])
async def test_users_with_endless_work_receive_the_same_number_of_tokens(tmp_path: Path, slots: dict[str, int]) -> None:
    async with simulator(tmp_path / "kira.sqlite", ENDLESS, SEED, 1, slots) as simulation:
        models = list(slots)
        simulation.titled = 0.0
        simulation.tokens_of = lambda claim: (number_of(claim.user_id) // len(models) + 1) * 40

        async def again(user: int) -> None:
            await simulation.ask(user, models[user % len(models)])

        simulation.after_end = again
        for user in range(ENDLESS):
            for place in range(3):
                simulation.at(place * 0.01, _asking(simulation, user, models[user % len(models)], Kind.REPLY, None))
        await simulation.run(ENDLESS_S)
    for at in range(len(models)):
        received = [simulation.seen.tokens[user] for user in range(ENDLESS) if user % len(models) == at]
        assert jain(received) >= 0.95, received
        assert sum(received) > 0.9 * ENDLESS_S * RATE * slots[models[at]]


def jain(shares: list[int]) -> float:
    """Return Jain's index: 1 when all shares are equal, 1/n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
