"""The queue over a simulated hour: nothing is lost, nobody starves, work is shared out evenly, slots are kept."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.domain.moments import SECOND
from kira.domain.runs import Claim, Kind
from tests.asking import fill
from tests.simulation.fleet import Health
from tests.simulation.simulator import RATE, Seen, Simulator

SEED = 20_261_124
USERS = 1_000
BIG, SMALL = "big:latest", "small:latest"
SLOTS = {BIG: 3, SMALL: 2}
WORKERS = 3
HEAVY = 20
HOUR_S = 900.0


@asynccontextmanager
async def simulator(path: Path, users: int, seed: int, workers: int, slots: dict[str, int]) -> AsyncIterator[Simulator]:
    """Open a simulator over a fresh database with `users` users."""
    database = create_database(SqliteConfig(path))
    fill(path, users)
    try:
        yield Simulator(database, seed, workers, slots)
    finally:
        await database.close()


async def busy_day(path: Path, users: int, seed: int, seconds: float) -> tuple[Seen, Simulator]:
    """Let `users` users live for `seconds`: most ask now and then, some ask a lot; workers die and freeze."""
    async with simulator(path, users, seed, WORKERS, SLOTS) as simulation:
        simulation.failing = 0.03
        plan = random.Random(seed + 1)
        for user in range(users):
            _plan_user(simulation, plan, user, seconds, is_heavy=user < users * HEAVY // USERS)
        for place in range(1, round(seconds / 60)):
            simulation.at(place * 60, _accident(simulation, plan.choice(["die", "die far away", "freeze"]), plan))
        await simulation.run()
        return simulation.seen, simulation


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


def test_probe(tmp_path: Path) -> None:
    import asyncio, time
    b = time.time()
    seen, sim = asyncio.run(busy_day(tmp_path / "k.sqlite", USERS, SEED, HOUR_S))
    print(time.time() - b, seen.counts, len(seen.waits), (sim.clock.now() - sim.began) / SECOND)
    waits = sorted((w.seconds, w.user, str(w.kind)) for w in seen.waits.values())
    print(waits[-10:])
    light = sorted((w.seconds, w.user, str(w.kind)) for w in seen.waits.values() if w.user >= HEAVY and w.kind is Kind.REPLY)
    print(light[-10:], light[len(light) // 2])
    bg = sorted((w.seconds, w.user, str(w.kind)) for w in seen.waits.values() if w.kind is not Kind.REPLY)
    print(bg[-10:], bg[len(bg) // 2])
    for u in (91, 496, 231):
        print(u); print("\n".join(t for t in seen.trace if f" {u} " in t and t.split()[2]==str(u)))
    print([t for t in seen.trace if "died" in t or "froze" in t])
