"""On AWS too functions and workers are killed at hundreds of points: no message is lost or doubled, every run ends."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from tests.browser.rig import Models, models_up
from tests.faults.rig import PATIENCE_S, Users, check_messages, check_runs, phases
from tests.hosts.users import visitor
from tests.rehearsal.fleet import Worker
from tests.rehearsal.host.function import Function
from tests.rehearsal.host.invocation import Failed
from tests.rehearsal.killing import Killer
from tests.rehearsal.rig import NO_LIMITS, Rehearsal, rehearsal
from tests.rehearsal.scenario import visiting

SEED = 20_261_126
LIVES = 10
OPEN = 24
"""So many messages are kept without an end."""
SLOTS = 12
RATE = 8
"""Words of an answer in a second: slow enough that a worker has its hands full when it is killed."""
USERS = 4
POINTS_MIN = 200
HELD_MIN = 50
"""Of these, in the hands of a worker."""
HIDES_S = 12
"""Longer than a worker lets pass before it holds its hints anew."""
GATEWAY = frozenset({500, 502, 503})
"""What a gateway says when the environment of a function ended before it answered."""
ANSWERS = "SELECT content FROM messages WHERE parent_id = ?"
LONG = " ".join(f"word{number}" for number in range(RATE * 3))


@dataclass
class Storm:
    """Everything that was killed, and what is left."""

    found: Rehearsal
    models: Models
    killer: Killer = field(default_factory=lambda: Killer(random.Random(SEED)))
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    users: Users = field(
        default_factory=lambda: Users([], random.Random(SEED), unanswered=GATEWAY, pause_s=0.5, spread_s=1)
    )
    phases: Counter[str] = field(default_factory=Counter)

    @property
    def held(self) -> int:
        """How many runs were in the hands of a worker when it was killed."""
        return sum(self.phases[each] for each in ("claimed", "streaming", "finishing"))

    def function(self, name: str) -> Function:
        """Return a function by its name."""
        return self.found.functions.named(name)

    async def start_worker(self) -> Worker:
        """Start an instance of the fleet and return when it serves."""
        worker = self.found.start_worker(self.models.address, OLLAMA_NUM_PARALLEL=str(SLOTS))
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(self.found.serves, worker):
                await asyncio.sleep(0.05)
        return worker

    async def rage(self) -> None:
        """Kill workers and functions over many lives, then let everything end."""
        async with visiting(self.found.address) as nobody:
            for number in range(USERS):
                self.users.tokens.append(str((await nobody.sign_up(f"storm{number}")).token))
        self.killer.haunt(self.function("chat"), share=0.3, within_s=0.03, most=16)
        self.killer.haunt(self.function("stream"), share=0.2, within_s=1, most=8)
        self.killer.haunt(self.function("clock"), share=1, within_s=0.1, most=3)
        for life in range(2 * LIVES):
            if life >= LIVES and self.held >= HELD_MIN:  # on a busy machine fewer of a life are in hands
                break
            worker = await self.start_worker()
            moment = self.users.moment(life, self.chance.uniform(0.02, 1))
            await self.users.live(self.found.address, max(2, OPEN - self.users.open), moment, worker.kill)
            self.phases += phases(self.users, self.found.rows)
            with suppress(Failed):
                await asyncio.to_thread(self.function("clock").invoke, b"{}")
        self.killer.rest()
        await self.start_worker()
        await self.users.live(self.found.address, 0, lambda: self.users.until_all_ended(self.found.rows), lambda: None)


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """A rehearsal in which everything was killed; one worker is left."""
    with models_up(slots=SLOTS) as models, rehearsal(tmp_path_factory.mktemp("kills")) as found:
        models.behave(rate=RATE, first=0.1)
        found.functions.configure(NO_LIMITS)
        found.gate.hides_s = HIDES_S
        made = Storm(found, models)
        found.play(made.rage())
        yield made


def test_workers_were_killed_at_hundreds_of_points_in_every_phase(storm: Storm) -> None:
    """The last word of an answer and its end are read at once here, so `finishing` is hardly ever seen."""
    assert storm.phases.total() >= POINTS_MIN, storm.phases
    assert storm.held >= HELD_MIN, storm.phases
    for phase in ("queued", "claimed", "streaming", "ended, not told"):
        assert storm.phases[phase] >= 3, storm.phases


def test_functions_were_killed_while_they_answered(storm: Storm) -> None:
    assert storm.killer.killed["kira-chat"] >= 8, storm.killer.killed
    assert storm.killer.killed["kira-stream"] >= 3, storm.killer.killed
    assert storm.killer.killed["kira-clock"] >= 1, storm.killer.killed


def test_every_acknowledged_message_is_there_exactly_once(storm: Storm) -> None:
    check_messages(storm.users, storm.found.rows)


def test_every_accepted_run_ended_with_one_answer_or_a_reason(storm: Storm) -> None:
    check_runs(storm.users, storm.found.rows)


def test_nothing_was_refused_by_a_role(storm: Storm) -> None:
    assert storm.found.gate.refused == []


def test_migrate_that_is_killed_may_be_called_again(storm: Storm) -> None:
    function, killer = storm.function("migrate"), Killer(random.Random(SEED))
    before = storm.found.rows("SELECT * FROM schema_steps ORDER BY number")
    killer.haunt(function, share=1, within_s=0.1, most=2)
    while killer.killed["kira-migrate"] < 2:
        with suppress(Failed):
            function.invoke(b"{}")
    killer.rest()
    assert function.invoke(b"{}")["Data"] == {"Applied": ""}
    assert storm.found.rows("SELECT * FROM schema_steps ORDER BY number") == before


async def test_a_reader_whose_stream_is_killed_reads_on_where_it_was(storm: Storm) -> None:
    killer = Killer(random.Random(SEED))
    killer.haunt(storm.function("stream"), share=1, within_s=0.8, most=3)
    async with visitor(storm.found.address) as user:
        run = (await user.ask(storm.found.address, f"say:{LONG}"))["run"]["id"]
        reading = await user.read(storm.found.address, run)
    killer.rest()
    numbers = [frame.number for frame in reading.frames]
    assert (reading.text, reading.kinds[-1], reading.kinds.count("restart")) == (LONG, "done", 0)
    assert numbers == sorted(set(numbers))
    assert killer.killed["kira-stream"] >= 1
    assert reading.connections > 1


async def test_an_answer_that_the_model_server_cuts_begins_again(storm: Storm) -> None:
    storm.models.fail("cut", after=3, times=1)
    async with visitor(storm.found.address) as user:
        asked = await user.ask(storm.found.address, "say:an answer that is whole in the end")
        reading = await user.read(storm.found.address, asked["run"]["id"])
    assert (reading.text, reading.kinds.count("restart")) == ("an answer that is whole in the end", 1)
    assert storm.found.rows(ANSWERS, asked["message"]["id"]) == [(reading.text,)]


async def test_a_run_waits_for_a_model_server_that_is_down(storm: Storm) -> None:
    storm.models.fail("down")
    async with visitor(storm.found.address) as user:
        asked = await user.ask(storm.found.address, "say:back again")
        run = asked["run"]["id"]
        async for frame in user.frames(storm.found.address, run):
            if frame.kind == "reason":
                break
        storm.models.fail("")
        assert (await user.read(storm.found.address, run)).text == "back again"
    assert storm.found.rows("SELECT state FROM runs WHERE id = ?", run) == [("done",)]
    assert storm.found.rows(ANSWERS, asked["message"]["id"]) == [("back again",)]
