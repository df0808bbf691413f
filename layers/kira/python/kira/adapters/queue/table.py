"""The queue as the `runs` table: a claim is one statement, a wake-up is a hint in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from kira.domain.errors import GaveUp
from kira.domain.ids import new_id
from kira.domain.limits import HOLD_BACK_SECONDS, LEASE_SECONDS, RUN_ATTEMPTS_MAX
from kira.domain.moments import DAY, MINUTE, SECOND
from kira.domain.runs import Claim, Kind, State
from kira.ports.clock import Clock
from kira.ports.database import Call, Database, Row
from kira.ports.queue import Lost, Place

BACKGROUND_PATIENCE = MINUTE
"""A background run that waited this long stands in line with the interactive ones, so that it never starves."""

RETRY_PAUSE = SECOND // 2
"""A run that was given back after a failure rests this long, times the number of its failures."""


class TableQueue:
    """Keeps the Queue promise with system statements on any database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Use `database` (system statements) and `clock`."""
        self._rows = database.system
        self._clock = clock
        self._hint = asyncio.Event()
        self._stop = asyncio.Event()

    async def send(self, user_id: str, run_id: str, model: str) -> None:  # noqa: ARG002 - the table names the run
        """Wake whoever waits in this process; the database itself tells the others."""
        self._hint.set()

    async def send_again(self) -> int:
        """Send nothing: whoever waits here looks at the table again and again."""
        return 0

    def wake(self) -> None:
        """Wake whoever waits in this process."""
        self._hint.set()

    async def wait(self, seconds: float, free: int) -> bool:  # noqa: ARG002 - a hint is for everybody here
        """Return at a wake-up, or after `seconds`; what waits here is known to whoever queued it."""
        await _either(self._hint, seconds)
        return False

    async def close(self) -> None:
        """Do nothing: no hint is kept here."""

    async def receive(self, room: Mapping[str, int], worker: str, patient: Collection[str] = ()) -> Sequence[Claim]:
        """Claim at most `room[model]` runs of each model, in fair order; of `patient` models only old ones."""
        claims: list[Claim] = []
        for model, free in room.items():
            if free < 1:
                continue
            now = self._clock.now()
            lease = f"{worker}/{new_id()}"
            params = {
                "model": model,
                "free": free,
                "now": now,
                "patience": now - BACKGROUND_PATIENCE,
                # The clock of the host that queued a run may be ahead.
                "newest": now - HOLD_BACK_SECONDS * SECOND if model in patient else now + DAY,
                "lease": lease,
                "until": now + LEASE_SECONDS * SECOND,
            }
            rows = await self._rows.query("queue.receive", params)
            claims += [_claim(row, lease) for row in sorted(rows, key=_standing)]
        return claims

    async def extend(self, claims: Sequence[Claim]) -> set[str]:
        """Renew the leases of `claims`; return the ids of those that were lost."""
        until = self._clock.now() + LEASE_SECONDS * SECOND
        calls = [Call("queue.extend", {**_held(claim), "until": until}) for claim in claims]
        results = await self._rows.run(calls) if calls else []
        return {claim.run_id for claim, result in zip(claims, results, strict=True) if not result.changes}

    def done(self, claim: Claim) -> None:
        """Do nothing: the row says that it ended."""

    def interrupt(self) -> None:
        """Wake whoever waits in `stops`."""
        self._stop.set()

    async def stops(self, worker: str, seconds: float) -> set[str]:
        """Return the ids of runs of `worker` that are to stop, at the next hint or after `seconds`."""
        await _either(self._stop, seconds)
        return {str(row["id"]) for row in await self._rows.query("queue.stops", {"worker": worker})}

    async def give_back(self, claim: Claim, reason: str, *, counted: bool) -> None:
        """Put a run back; counted failures rest a little before they go again."""
        not_before = self._clock.now() + self._rest(claim, counted=counted)
        params = {"reason": reason, "failed": int(counted), "not_before": not_before}
        await self._rows.execute("queue.give_back", {**_held(claim), **params})
        self.wake()

    def _rest(self, claim: Claim, *, counted: bool) -> int:
        return RETRY_PAUSE * claim.attempt if counted else 0

    async def recover(self, alive: Callable[[str], bool]) -> Sequence[Lost]:
        """Put back, or end, what dead workers left."""
        now = self._clock.now()
        found: list[Lost] = []
        for row in await self._rows.query("queue.leases"):
            holder = str(row["lease"]).rpartition("/")[0]
            if int(row["lease_until"]) >= now and alive(holder):
                continue
            end = _end_of(row)
            params = {
                "owner_id": row["user_id"],
                "run_id": row["id"],
                "lease": row["lease"],
                "state": end or State.QUEUED,
                "reason": None if end else "The worker stopped; it begins again.",
                "error_code": GaveUp.code if end is State.FAILED else None,
                "error_message": GaveUp().message if end is State.FAILED else None,
                "ended_at": now if end else None,
            }
            if await self._rows.execute("queue.lose", params):
                found.append(_lost(row, end))
        if found:
            self.wake()
        return found

    async def wanted(self) -> Sequence[str]:
        """Return the models that waiting runs ask for."""
        return [str(row["model"]) for row in await self._rows.query("queue.models")]

    async def fail_model(self, model: str, code: str, message: str) -> Sequence[Lost]:
        """End the waiting runs of a model that nobody has."""
        params = {"model": model, "error_code": code, "error_message": message, "now": self._clock.now()}
        return [_lost(row, State.FAILED) for row in await self._rows.query("queue.fail_model", params)]

    async def open(self) -> int:
        """Count the runs that are not ended."""
        return int((await self._rows.query("queue.open"))[0]["runs"])

    async def places(self) -> Sequence[Place]:
        """Return every waiting run in its order."""
        patience = self._clock.now() - BACKGROUND_PATIENCE
        return [_place(row) for row in await self._rows.query("queue.places", {"patience": patience})]


async def _either(hint: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await hint.wait()
    except TimeoutError:
        pass
    hint.clear()


def _standing(row: Row) -> tuple[int, int, str]:
    return int(row["tag"]), int(row["created_at"]), str(row["id"])


def _end_of(row: Row) -> State | None:
    if row["cancel_asked"]:
        return State.CANCELLED
    return State.FAILED if int(row["failures"]) + 1 >= RUN_ATTEMPTS_MAX else None


def _held(claim: Claim) -> dict[str, object]:
    return {"owner_id": claim.user_id, "run_id": claim.run_id, "lease": claim.lease}


def _claim(row: Row, lease: str) -> Claim:
    return Claim(
        user_id=row["user_id"],
        run_id=row["id"],
        kind=Kind(row["kind"]),
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        model=row["model"],
        attempt=row["attempt"],
        lease=lease,
        created_at=row["created_at"],
    )


def _lost(row: Row, end: State | None) -> Lost:
    return Lost(row["user_id"], row["id"], row["conversation_id"], row["kind"], row["model"], row["attempt"], end)


def _place(row: Row) -> Place:
    return Place(
        user_id=row["user_id"],
        run_id=row["id"],
        conversation_id=row["conversation_id"],
        kind=row["kind"],
        model=row["model"],
        position=row["position"],
        attempt=row["attempt"],
        waiting_since=row["created_at"],
    )
