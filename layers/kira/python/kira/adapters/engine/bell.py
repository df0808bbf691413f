"""A bell that engines ring when their room or their fleet may have changed."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings once for any number of changes since it was last heard."""

    def __init__(self) -> None:
        """Begin silent; `changes` counts, so that what was computed from the state can be kept until it changes."""
        self._rung = asyncio.Event()
        self.changes = 0

    def touch(self) -> None:
        """Note a change that nobody waits for."""
        self.changes += 1

    def ring(self) -> None:
        """Tell whoever listens, now or next."""
        self.changes += 1
        self._rung.set()

    async def heard(self) -> None:
        """Return as soon as it rang since the last call."""
        await self._rung.wait()
        self._rung.clear()
