"""The queue with hints over SQS: the table says what waits and who is next, a message is permission to look."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kira.adapters.queue.hints import Hint, Hints, Sqs
from kira.adapters.queue.table import TableQueue
from kira.domain.errors import KiraError
from kira.domain.limits import HINT_LOST_SECONDS, HINT_POLL_SECONDS, HINT_PUT_OFF_SECONDS, HINT_VISIBLE_SECONDS
from kira.domain.moments import SECOND
from kira.domain.runs import Claim
from kira.ports.clock import Clock
from kira.ports.database import Database
from kira.ports.queue import Lost

log = logging.getLogger("kira.queue")

Waiting = tuple[str, str, str]
"""The user, the run and the model."""


@dataclass(frozen=True, slots=True)
class SqsConfig:
    """Addresses of the queue for model servers and of the one for the models of a hosted provider."""

    url: str
    hosted_url: str | None = None
    hosted: frozenset[str] = frozenset()
    polls: bool = True  # False where something else receives the hints, as for a function that SQS starts
    poll_s: int = HINT_POLL_SECONDS


class SqsQueue(TableQueue):
    """Keeps the Queue promise: claims are those of the table, so a lost, doubled, late or stale hint costs time only.

    A hint is received only where a run could begin. It is not bound to the run that it names: whatever is next is
    claimed, and the hint is held from other workers while that run goes. There are as many hints as waiting runs, or
    more; of those that are too many nothing is left once nothing waits.
    """

    def __init__(self, database: Database, clock: Clock, config: SqsConfig, client: Callable[[], Any]) -> None:
        """Use the table in `database` and the queues of `config`; `client` makes the official client."""
        super().__init__(database, clock)
        sqs = Sqs(client)
        self._config = config
        self._own = Hints(sqs, config.url, config.poll_s)
        self._hosted = Hints(sqs, config.hosted_url, config.poll_s) if config.hosted_url else self._own
        self._received: list[Hint] = []
        self._held: dict[tuple[str, str], Hint] = {}
        self._polling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def send(self, user_id: str, run_id: str, model: str) -> None:
        """Send a message for the run; without it the run is found by the clock."""
        await self._send([(user_id, run_id, model)])

    async def send_again(self) -> int:
        """Send as many hints as there are fewer than waiting runs, for those that have waited long."""
        places = defaultdict(list)
        for place in await self.places():
            places[self._of(place.model)].append(place)
        latest = self._clock.now() - HINT_LOST_SECONDS * SECOND
        sent = 0
        for hints, waiting in places.items():
            known = await hints.count()
            old = [(place.user_id, place.run_id) for place in waiting if place.waiting_since < latest]
            if known is not None and known < len(waiting):
                sent += await hints.send(old[: len(waiting) - known])
        return sent

    async def receive(self, room: Mapping[str, int], worker: str, patient: Collection[str] = ()) -> Sequence[Claim]:
        """Claim what is next in the table, hold as many hints, and let the others go."""
        received, self._received = self._received, []
        try:
            claims = await super().receive(room, worker, patient)
        except KiraError:
            self._received += received
            raise
        left = self._hold(received, claims)
        if left:
            self._later(self._leave(left))
        return claims

    async def extend(self, claims: Sequence[Claim]) -> set[str]:
        """Renew the leases, and keep the hints of those that are still held from others."""
        lost = await super().extend(claims)
        kept = [claim for claim in claims if claim.run_id not in lost]
        hints = [self._held[_key(claim)] for claim in kept if _key(claim) in self._held]
        if hints:
            self._later(self._own.hold(hints, HINT_VISIBLE_SECONDS))
        return lost

    def done(self, claim: Claim) -> None:
        """Delete the hint that was held for the claim."""
        hint = self._held.pop(_key(claim), None)
        if hint is not None:
            self._later(self._own.delete([hint]))

    async def give_back(self, claim: Claim, reason: str, *, counted: bool) -> None:
        """Put a run back; its hint is there for everybody as soon as the run may go again."""
        await super().give_back(claim, reason, counted=counted)
        seconds = -(-self._rest(claim, counted=counted) // SECOND)
        hint = self._held.pop(_key(claim), None)
        if hint is not None:
            await self._own.hold([hint], seconds)
        else:
            await self._of(claim.model).send([(claim.user_id, claim.run_id)], seconds)

    async def recover(self, alive: Callable[[str], bool]) -> Sequence[Lost]:
        """Put back, or end, what dead workers left; whatever they held of hints is not waited for."""
        found = await super().recover(alive)
        await self._send([(each.user_id, each.run_id, each.model) for each in found if each.end is None])
        return found

    async def wait(self, seconds: float, free: int) -> bool:
        """Return at a hint, a wake-up or after `seconds`; SQS is asked while slots are free and nothing is received."""
        if not self._received:
            if free > 0 and self._polling is None and self._config.polls and not self._is_closed:
                self._polling = asyncio.create_task(self._poll(free))
            await super().wait(seconds, free)
        return bool(self._received)

    async def close(self) -> None:
        """Ask for no more hints, let others have those that led to nothing, and finish what was to be told to SQS."""
        self._is_closed = True
        if self._polling is not None:
            await self._polling
        received, self._received = self._received, []
        await self._own.hold(received, 0)
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _poll(self, free: int) -> None:
        try:
            self._received += await self._own.receive(free)
        finally:
            self._polling = None
            self.wake()

    async def _send(self, runs: Sequence[Waiting]) -> None:
        for hints in {self._of(model) for _, _, model in runs}:
            pairs = [(user_id, run_id) for user_id, run_id, model in runs if self._of(model) is hints]
            sent = await hints.send(pairs)
            if sent < len(pairs):
                log.warning("hints of %d runs are lost; the clock finds the runs later", len(pairs) - sent)

    async def _leave(self, hints: Sequence[Hint]) -> None:
        """Delete hints that led to nothing; while runs wait that others may begin, let them have the hints soon."""
        try:
            is_any = any(self._of(model) is self._own for model in await self.wanted())
        except KiraError as error:
            log.warning("hints are kept, since it is not known whether runs wait: %s", error.message)
            is_any = True
        if is_any:
            await self._own.put_off(hints, HINT_PUT_OFF_SECONDS)
        else:
            await self._own.delete(hints)

    def _hold(self, received: Sequence[Hint], claims: Sequence[Claim]) -> list[Hint]:
        """Hold a hint for each claim, if possible the one that names it; return those that are left."""
        left = list(received)
        named = {hint.run_id: hint for hint in received}
        for claim in sorted(claims, key=lambda claim: claim.run_id not in named):
            if left:
                hint = named.get(claim.run_id, left[0])
                left.remove(hint)
                self._held[_key(claim)] = hint
        return left

    def _of(self, model: str) -> Hints:
        return self._hosted if model in self._config.hosted else self._own

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Tell SQS something that nobody waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _key(claim: Claim) -> tuple[str, str]:
    return claim.run_id, claim.lease
