"""Reads one answer to its end: what arrived becomes pieces, and whatever goes wrong an EngineError."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from kira.adapters.engine.ollama import faults
from kira.adapters.engine.ollama.flow import Flow
from kira.adapters.engine.ollama.lines import Failure, Lines
from kira.domain.errors import EngineError
from kira.ports.engine import Piece


class Reading:
    """Reads `response` and counts in `flow`; a silence of `gap_s` to twice that ends it."""

    __slots__ = ("_flow", "_gap_s", "_is_late", "_lines", "_loop", "_name", "_read", "_response", "_seen")

    def __init__(self, response: aiohttp.ClientResponse, flow: Flow, gap_s: float, name: str) -> None:
        """Begin; the timer of the silence is one for all tokens and ends with the flow."""
        self._response, self._flow, self._gap_s, self._name = response, flow, gap_s, name
        self._lines = Lines()
        self._read = response.content.readany
        self._is_late = False
        self._seen = -1
        self._loop = asyncio.get_running_loop()
        flow.timer = self._loop.call_later(gap_s, self._look)

    async def read(self) -> Sequence[Piece]:
        """Return the next pieces; raises the EngineError that fits, StreamCut when nothing more comes."""
        try:
            data = await self._read()
            if data:
                self._flow.heard(data.count(b"\n"))
                return self._lines.feed(data)
            last = self._lines.end()
        except Failure as failure:
            raise faults.from_text(str(failure), self._flow.model, self._name) from None
        except (aiohttp.ClientError, OSError):
            raise self._broken() from None
        if not last:
            raise faults.cut(self._name)
        return last

    def _broken(self) -> EngineError:
        return faults.too_slow(self._name, self._gap_s) if self._is_late else faults.cut(self._name)

    def _look(self) -> None:
        if self._flow.reads == self._seen:
            self._is_late = True
            self._response.close()
            return
        self._seen = self._flow.reads
        self._flow.timer = self._loop.call_later(self._gap_s, self._look)
