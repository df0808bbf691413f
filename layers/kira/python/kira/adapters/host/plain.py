"""A computer of one's own: nobody takes it away, and nobody asks how busy it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kira.ports.host import Leave, Load


class PlainHost:
    """Keeps the Host promise by doing nothing."""

    async def watch(self, load: Callable[[], Load], leave: Callable[[Leave], None]) -> None:  # noqa: ARG002
        """Wait until cancelled."""
        await asyncio.Event().wait()

    async def left(self) -> None:
        """Nobody is to be told."""

    async def unfit(self, reason: str) -> None:
        """Nobody is to be told; the worker says it itself."""

    async def close(self) -> None:
        """Nothing was opened."""
