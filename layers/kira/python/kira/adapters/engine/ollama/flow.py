"""The flow of one answer from a server, counted so that overlaps can be proven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Flow:
    """What is known of one answer: reads and tokens so far, when it was asked for and when it began."""

    __slots__ = ("asked_at", "began_at", "has_ended", "model", "reads", "timer", "tokens", "watcher")

    def __init__(self, model: str, now: float) -> None:
        """Ask for `model` at `now` (the loop's time)."""
        self.model = model
        self.asked_at = now
        self.began_at: float | None = None
        self.reads = 0
        self.tokens = 0
        self.has_ended = False
        self.timer: asyncio.TimerHandle | None = None
        self.watcher: Callable[[], None] | None = None

    @property
    def is_streaming(self) -> bool:
        """Say whether tokens came and more will."""
        return self.began_at is not None and not self.has_ended

    def heard(self, tokens: int) -> None:
        """Count one read with `tokens` lines in it."""
        if self.began_at is None:
            self.began_at = asyncio.get_running_loop().time()
        self.reads += 1
        self.tokens += tokens
        if self.watcher is not None:
            self.watcher()

    def ended(self) -> None:
        """Say that nothing more comes; its timer stops."""
        self.has_ended = True
        if self.timer is not None:
            self.timer.cancel()
        if self.watcher is not None:
            self.watcher()
