"""Simulates a day of the queue: real database, real statements, a clock that jumps from event to event."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.asking import ask, number_of, user_id
from tests.simulation.fleet import Hand, Hands, Health, Held

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.queue.table import TableQueue
from kira.domain.limits import LEASE_RENEWAL_SECONDS, RECOVERY_SECONDS, RUN_ATTEMPTS_MAX
from kira.domain.moments import SECOND
from kira.domain.runs import Claim, Failure, Kind, State
from kira.ports.database import Database, NoRow
from kira.ports.engine import Finished
from kira.services.answering import Answering, Outcome

RATE = 50.0
"""Tokens per second of every slot."""
PROMPT_TOKENS = 40

Happening = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Wait:
    """How long a run waited: when it was accepted and first claimed (microseconds)."""

    user: int
    kind: Kind
    accepted: int
    began: int | None = None

    @property
    def seconds(self) -> float:
        """The wait; a run that never began has none."""
        return 0.0 if self.began is None else (self.began - self.accepted) / SECOND


@dataclass(slots=True)
class Seen:
    """What the simulation observed; runs are named by their user and when they were accepted."""

    trace: list[str] = field(default_factory=list)
    waits: dict[str, Wait] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)

    def digest(self) -> str:
        """Return one short name for all that happened, in its order."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class Simulator:
    """Happenings in the order of their moments; between two of them every free slot is offered to the queue."""

    def __init__(self, database: Database, seed: int, workers: int, slots: dict[str, int]) -> None:
        """Begin with `workers` workers of `slots` each."""
        self.clock = FixedClock()
        self.began = self.clock.now()
        self.database = database
        self.queue = TableQueue(database, self.clock)
        self.answering = Answering(database, self.clock)
        self.random = random.Random(seed)
        self.hands = Hands()
        self.seen = Seen()
        self.tokens_of: Callable[[Claim], int] = lambda _: round(self.random.lognormvariate(4.8, 0.7)) + 5
        self.after_end: Callable[[int], Awaitable[None]] | None = None
        self.failing = 0.0
        self.titled = 0.2
        self._plan: list[tuple[int, int, Happening]] = []
        self._planned = 0
        self._chores = 0
        for _ in range(workers):
            self.hands.add(slots)

    def at(self, seconds: float, happening: Happening) -> None:
        """Let something happen `seconds` after the present moment."""
        self._planned += 1
        heapq.heappush(self._plan, (self.clock.now() + round(seconds * SECOND), self._planned, happening))

    async def run(self, seconds: float | None = None) -> None:
        """Go on until nothing is left to do, or for `seconds`."""
        end = None if seconds is None else self.clock.now() + round(seconds * SECOND)
        self._every(LEASE_RENEWAL_SECONDS, self._renew)
        self._every(RECOVERY_SECONDS, self._recover)
        while self._plan and (end is None or self._plan[0][0] <= end):
            moment, _, happening = heapq.heappop(self._plan)
            self.clock.moment = moment
            await happening()
            if self.unended:
                await self._offer()

    def _every(self, seconds: float, chore: Happening) -> None:
        """Do a chore again and again, as long as anything else is left to do."""
        self._chores += 1

        async def again() -> None:
            self._chores -= 1
            await chore()
            if self.unended or len(self._plan) > self._chores:
                self._every(seconds, chore)

        self.at(seconds, again)

    @property
    def unended(self) -> int:
        """How many accepted runs have not ended yet."""
        return len(self.seen.waits) - len(self.seen.ends)

    async def ask(self, user: int, model: str, kind: Kind = Kind.REPLY) -> str | None:
        """Let a user send a message; return the run's id, None when the door refused it."""
        run = await ask(self.database, self.clock.now(), user, model, kind)
        if run is None:
            self.seen.counts["refused"] += 1
            return None
        self._accepted(run, user, kind)
        return run

    async def cancel(self, user: int, run: str) -> None:
        """Let a user cancel a run, wherever it stands."""
        params = {"run_id": run, "now": self.clock.now()}
        found = await self.database.of(user_id(user)).query("runs.cancel", params)
        if found and found[0]["state"] == State.CANCELLED:
            self._ended(run, State.CANCELLED)
            return
        for hand in self.hands.well():
            self.queue.interrupt()
            for stopped in await self.queue.stops(hand.name, 1):
                held = hand.held.get(stopped)
                if held is not None:
                    await self._end(hand, held, State.CANCELLED)

    async def die(self, hand: Hand, back_s: float) -> None:
        """End a worker with all it holds; another one begins after `back_s` seconds."""
        hand.health = Health.DEAD
        hand.held.clear()
        self._note("died", hand.name)
        self.seen.counts["died"] += 1

        async def another() -> None:
            self.hands.add(hand.slots, is_near=hand.is_near)

        self.at(back_s, another)

    async def freeze(self, hand: Hand, seconds: float) -> None:
        """Stop a worker without its knowledge; when it thaws it tries to end what it held."""
        hand.health = Health.FROZEN
        self._note("froze", hand.name)
        self.seen.counts["froze"] += 1

        async def thaw() -> None:
            hand.health = Health.WELL
            for held in list(hand.held.values()):
                if self.clock.now() >= held.began + round(held.tokens / RATE * SECOND):
                    await self._end(hand, held, State.DONE)

        self.at(seconds, thaw)

    def _accepted(self, run: str, user: int, kind: Kind) -> None:
        self.seen.waits[run] = Wait(user, kind, self.clock.now())
        self._note("accepted", run)

    def _ended(self, run: str, state: State) -> None:
        self.seen.ends[run] += 1
        self.seen.counts[state] += 1
        self._note(state, run)

    def _note(self, what: str, run: str) -> None:
        wait = self.seen.waits.get(run)
        name = run if wait is None else f"{wait.user} {wait.kind} {wait.accepted - self.began}"
        self.seen.trace.append(f"{self.clock.now() - self.began} {what} {name}")

    async def _offer(self) -> None:
        for hand in self.hands.well():
            room = hand.room()
            if not any(room.values()):
                continue
            for claim in await self.queue.receive(room, hand.name):
                self._claimed(hand, claim)

    def _claimed(self, hand: Hand, claim: Claim) -> None:
        now = self.clock.now()
        if claim.run_id not in self.seen.waits:  # the run that makes a title
            user = number_of(claim.user_id)
            self.seen.waits[claim.run_id] = Wait(user, claim.kind, claim.created_at)
        wait = self.seen.waits[claim.run_id]
        wait.began = wait.began or now
        self._note("claimed", claim.run_id)
        holders = [each.name for each in self.hands.well() if claim.run_id in each.held]
        assert not holders, f"{holders} hold a run that {hand.name} received too"
        tokens = 12 if claim.kind is Kind.TITLE else self.tokens_of(claim)
        held = Held(claim, tokens, now)
        hand.take(held)
        if self.random.random() < self.failing:
            self.at(tokens / RATE / 2, lambda: self._fail(hand, held))
        else:
            self.at(tokens / RATE, lambda: self._finish(hand, held))

    async def _finish(self, hand: Hand, held: Held) -> None:
        if hand.health is Health.WELL and hand.held.get(held.claim.run_id) is held:
            await self._end(hand, held, State.DONE)

    async def _fail(self, hand: Hand, held: Held) -> None:
        """A cut stream: the run goes again, and after the last attempt it has failed, as in jobs/reply.py."""
        if hand.health is not Health.WELL or hand.held.get(held.claim.run_id) is not held:
            return
        if held.claim.attempt >= RUN_ATTEMPTS_MAX:
            await self._end(hand, held, State.FAILED)
            return
        del hand.held[held.claim.run_id]
        await self.queue.give_back(held.claim, "The stream was cut.", counted=True)
        self._note("handed back", held.claim.run_id)
        self.seen.counts["handed back"] += 1
        self.at(held.claim.attempt / 2 + 0.001, _nothing)  # the moment from which it may be claimed again

    async def _end(self, hand: Hand, held: Held, state: State) -> None:
        claim = held.claim
        hand.held.pop(claim.run_id, None)
        spent = min(held.tokens, round((self.clock.now() - held.began) / SECOND * RATE))
        failure = Failure("STREAM_CUT", "The stream was cut.") if state is State.FAILED else None
        finished = Finished(PROMPT_TOKENS, spent, "stop") if state is State.DONE else None
        text = "word " * spent if state is not State.FAILED else ""
        is_untitled = claim.kind is Kind.REPLY and self.random.random() < self.titled
        try:
            await self.answering.end(claim, Outcome(state, text, finished, failure), is_untitled=is_untitled)
        except NoRow:
            self.seen.counts["lease lost"] += 1
            return
        self._ended(claim.run_id, state)
        if is_untitled and text and state is State.DONE:
            await self._titles(claim)
        user = self.seen.waits[claim.run_id].user
        self.seen.tokens[user] += spent
        if self.after_end is not None and claim.kind is Kind.REPLY:
            await self.after_end(user)

    async def _titles(self, claim: Claim) -> None:
        for row in await self.database.of(claim.user_id).query("runs.active"):
            if row["kind"] == Kind.TITLE and row["id"] not in self.seen.waits:
                self._accepted(str(row["id"]), number_of(claim.user_id), Kind.TITLE)

    async def _renew(self) -> None:
        for hand in self.hands.well():
            for run in await self.queue.extend([held.claim for held in hand.held.values()]):
                del hand.held[run]
                self.seen.counts["lease lost"] += 1

    async def _recover(self) -> None:
        for lost in await self.queue.recover(self.hands.is_alive):
            self.seen.counts["recovered"] += 1
            if lost.end is not None:
                self._ended(lost.run_id, lost.end)


async def _nothing() -> None:
    """Nothing but a moment at which slots are offered."""
