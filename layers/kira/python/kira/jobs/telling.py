"""Telling: pieces of answers are gathered for a moment and then said together, all runs on one timer."""

from __future__ import annotations

import asyncio
from typing import Any

from kira.domain.limits import DELTA_MILLISECONDS
from kira.ports.stream import Source, Stream

Said = tuple[str, dict[str, Any]]


class Teller:
    """What one run says: the first piece at once, the following ones gathered."""

    def __init__(self, telling: Telling, source: Source, attempt: int) -> None:
        """Speak for `source` in its `attempt`."""
        self._telling = telling
        self._source = source
        self._attempt = attempt
        self._said: list[Said] = []
        self._gathered: list[str] = []
        self._kind = "delta"
        self._has_begun = False

    async def say(self, kind: str, data: dict[str, Any]) -> None:
        """Say one event now, after everything that was gathered."""
        self._close()
        self._said.append((kind, data))
        await self.flush()

    def gather(self, kind: str, text: str) -> None:
        """Add a piece of text (`delta` or `thinking`) that is said within DELTA_MILLISECONDS."""
        if kind != self._kind:
            self._close()
            self._kind = kind
        self._gathered.append(text)
        if self._has_begun:
            self._telling.soon(self)
        else:
            self._has_begun = True
            self._telling.now(self)

    async def flush(self) -> None:
        """Say what was gathered."""
        self._close()
        if self._said:
            said, self._said = self._said, []
            await self._telling.stream.append(self._source, self._attempt, said, works=True)

    def _close(self) -> None:
        if self._gathered:
            self._said.append((self._kind, {"text": "".join(self._gathered)}))
            self._gathered.clear()


class Telling:
    """One timer for all tellers: it runs only while there is something to say, and a first word is not kept by it."""

    def __init__(self, stream: Stream) -> None:
        """Say everything to `stream`."""
        self.stream = stream
        self._pending: set[Teller] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._beginning: set[asyncio.Task[None]] = set()

    def now(self, teller: Teller) -> None:
        """Flush `teller` at once: whoever waits for a first word does not wait for the tick of somebody else's."""
        task = asyncio.create_task(teller.flush())
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    def soon(self, teller: Teller) -> None:
        """Flush `teller` at the next tick; at once when nothing was said just before."""
        self._pending.add(teller)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while self._pending:
            pending, self._pending = self._pending, set()
            for teller in pending:
                await teller.flush()
            await asyncio.sleep(DELTA_MILLISECONDS / 1000)
