"""The wire as Redis or Valkey: one stream of entries per user."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kira.adapters.stream.wire import Known, Spoken
from kira.domain.errors import Unavailable, WrongSetting
from kira.domain.events import LAST, Event
from kira.domain.limits import RUN_SECONDS_MAX, STREAM_KEPT_SECONDS
from kira.domain.moments import SECOND
from kira.ports.clock import Clock
from kira.ports.stream import Source

PREFIX = "kira:said:"
KEPT_SECONDS = RUN_SECONDS_MAX + STREAM_KEPT_SECONDS
"""What is older belongs to no run: entries of a process that died are gone then at the latest."""
ANSWER_SECONDS = 5
CURSOR_SECONDS = 60


class RedisWire:
    """Keeps the Wire promise with XADD and XREAD: entries of a stream are seen by all in the order of their ids."""

    def __init__(self, address: str, clock: Clock) -> None:
        """Use the server at `address` (redis://, rediss:// or unix://) and `clock`; raises WrongSetting."""
        try:
            self._client = Redis.from_url(address, decode_responses=True, socket_timeout=ANSWER_SECONDS)
        except ValueError as error:
            raise WrongSetting(f"KIRA_STREAM is no address of a Redis server: {error}") from None
        place = urlsplit(address)
        self._place = f"{place.hostname or place.path}:{place.port or 6379}"
        self._clock = clock
        self._cursors: dict[str, tuple[str, int]] = {}
        self._entries: dict[tuple[str, str], list[str]] = {}
        self._ended: deque[tuple[int, tuple[str, str]]] = deque()

    async def publish(self, spoken: Sequence[Spoken]) -> None:
        """Add an entry for each run, all in one write."""
        oldest = str((self._clock.now() - KEPT_SECONDS * SECOND) // 1_000)
        with self._asking():
            async with self._client.pipeline(transaction=False) as pipe:
                for each in spoken:
                    pipe.xadd(PREFIX + each.source.user_id, _entry(each), minid=oldest, approximate=True)
                for user_id in {each.source.user_id for each in spoken}:
                    pipe.expire(PREFIX + user_id, KEPT_SECONDS)
                ids = await pipe.execute()
        for each, entry in zip(spoken, ids, strict=False):
            run = (each.source.user_id, each.source.run_id)
            self._entries.setdefault(run, []).append(entry)
            if each.events[-1].kind in LAST:
                self._ended.append((self._clock.now(), run))

    async def read(self, known: Known) -> Sequence[Spoken]:
        """Return what was added for the users of `known` since they were read here."""
        now = self._clock.now()
        oldest = now - CURSOR_SECONDS * SECOND
        self._cursors = {user_id: kept for user_id, kept in self._cursors.items() if kept[1] > oldest}
        cursors: dict[Any, Any] = {PREFIX + user_id: self._cursors.get(user_id, ("0", now))[0] for user_id in known}
        with self._asking():
            found: Any = await self._client.xread(cursors)
        for user_id in known:
            self._cursors[user_id] = (cursors[PREFIX + user_id], now)
        spoken = []
        for key, entries in found:
            user_id = key.removeprefix(PREFIX)
            spoken += [_spoken(user_id, fields) for _, fields in entries]
            self._cursors[user_id] = (entries[-1][0], now)
        return spoken

    async def wait(self, seconds: float) -> None:
        """Return after `seconds`; one question for all users is cheaper than to be told of each entry."""
        await asyncio.sleep(seconds)

    async def trim(self) -> None:
        """Delete the entries of runs that were published here and have ended a while ago."""
        horizon = self._clock.now() - STREAM_KEPT_SECONDS * SECOND
        with self._asking():
            while self._ended and self._ended[0][0] < horizon:
                run = self._ended[0][1]
                if ids := self._entries.get(run):
                    await self._client.xdel(PREFIX + run[0], *ids)
                self._entries.pop(run, None)
                self._ended.popleft()
        oldest = (self._clock.now() - KEPT_SECONDS * SECOND) // 1_000
        for run in [run for run, ids in self._entries.items() if int(ids[-1].partition("-")[0]) < oldest]:
            del self._entries[run]  # its end was said elsewhere

    async def check(self) -> None:
        """Raise WrongSetting when the server does not answer."""
        try:
            await self._client.ping()
        except RedisError as error:
            told = f"KIRA_STREAM names a Redis server at {self._place}, which cannot be used ({error})."
            raise WrongSetting(f"{told} Start it, or set KIRA_STREAM to table.") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            told = f"The Redis server of KIRA_STREAM at {self._place} cannot be used ({error}). Is it running?"
            raise Unavailable(told, retry_after_s=1) from error


def _entry(spoken: Spoken) -> dict[Any, Any]:
    source = spoken.source
    said = [[event.number, event.kind, event.data] for event in spoken.events]
    about = [source.run_id, source.conversation_id, source.kind]
    return {"run": json.dumps(about), "said": json.dumps(said, separators=(",", ":"))}


def _spoken(user_id: str, fields: dict[str, str]) -> Spoken:
    run_id, conversation_id, kind = json.loads(fields["run"])
    events = [Event(number, kind, data) for number, kind, data in json.loads(fields["said"])]
    return Spoken(Source(user_id, run_id, conversation_id, kind), events)
