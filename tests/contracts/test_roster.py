"""What every roster promises: living workers know one another, and exactly one of them leads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.engines import engine

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.roster.table import TableRoster
from kira.domain.limits import WORKER_SILENCE_SECONDS
from kira.ports.engine import Fleet, Model, Server

LLAMA = Fleet(
    (Model("llama:8b", "llama", 8192, 10, loaded=True, capabilities=("tools",)),),
    (Server("http://a", "ok", "one of 4", "llama:8b", 4, 1),),
    "llama:8b",
)
DEMO = Fleet((Model("demo", "Demo", demo=True),), (), "demo", "Pull a model.")

Join = Callable[..., TableRoster]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=["sqlite", "postgres"])
async def join(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Join]:
    database = engine(request.param)(tmp_path, None)
    yield lambda name, quiet=False: TableRoster(database, clock, name, quiet=quiet)
    await database.close()


async def test_workers_know_what_the_others_serve(join: Join) -> None:
    one, two, guest = join("one"), join("two"), join("guest")
    await one.tell(LLAMA)
    await two.tell(DEMO)
    await one.tell(LLAMA)
    await guest.look()
    assert list(one.others) == [DEMO]
    assert list(two.others) == [LLAMA]
    assert list(guest.others) == [LLAMA, DEMO]


async def test_the_first_leads_until_it_leaves_or_falls_silent(join: Join, clock: FixedClock) -> None:
    workers = [join(str(number)) for number in range(3)]
    for worker in (*workers, *workers):
        await worker.tell(DEMO)
    assert [worker.leads for worker in workers] == [True, False, False]
    await workers[0].leave()
    assert workers[1].last == DEMO
    for worker in workers[1:]:
        await worker.tell(DEMO)
    assert [worker.leads for worker in workers[1:]] == [True, False]
    clock.advance(WORKER_SILENCE_SECONDS + 1)
    await workers[2].tell(DEMO)
    assert workers[2].leads
    assert list(workers[2].others) == []


async def test_a_quiet_worker_that_is_alone_writes_once(join: Join, clock: FixedClock) -> None:
    alone = join("alone", quiet=True)
    await alone.tell(DEMO)
    clock.advance(WORKER_SILENCE_SECONDS + 1)
    await alone.tell(DEMO)
    other = join("other")
    await other.tell(LLAMA)
    assert list(other.others) == [], "the quiet one has said nothing for long"
    await alone.tell(DEMO)
    await other.tell(LLAMA)
    assert list(other.others) == [DEMO], "it speaks again once somebody is there"
    assert alone.leads
    assert not other.leads


def test_fleets_are_joined() -> None:
    loaded = Fleet((Model("b", "b", loaded=True),), (Server("s", "ok", "", slots=2),), "b")
    joined = DEMO.joined([Fleet((Model("b", "b"),), (Server("t", "ok", "", slots=3),), "b"), loaded])
    assert [model.name for model in joined.models] == ["b", "demo"]
    assert joined.models[0].loaded
    assert (joined.default, joined.slots, joined.advice) == ("b", 5, None)
    assert DEMO.joined([]) == DEMO
