"""The stream: what runs say, for any number of readers, resumable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kira.domain.events import Event


@dataclass(frozen=True, slots=True)
class Source:
    """The run that speaks."""

    user_id: str
    run_id: str
    conversation_id: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Said:
    """An event as `follow_user` yields it: `number` rises over all the user's runs."""

    number: int
    source: Source
    event: Event


class Stream(Protocol):
    """Append by the one who works on a run; read by everybody of that user."""

    async def append(
        self, source: Source, attempt: int, said: Sequence[tuple[str, dict[str, Any]]], *, works: bool = False
    ) -> None:
        """Add what a run said, as pairs of event kind and data; numbers them, rising, from `attempt`'s first on.

        `works` when the one speaks who works on the attempt: several processes may tell of a run that waits for its
        attempt, but only one works on it. What is said of an attempt after a later one has begun is left out.
        """

    def follow(self, user_id: str, run_id: str, after: int) -> AsyncIterator[list[Event]]:
        """Yield batches of events numbered above `after` as they come; ends after the last event of the run.

        Yields an empty list every few seconds of silence. When the stream knows nothing of this run it
        yields only empty lists until something is appended.
        """

    def follow_user(self, user_id: str, after: int | None) -> AsyncIterator[list[Said]]:
        """Yield batches of all events of the user's runs numbered above `after`.

        When `after` is None or no longer kept, each run that is not ended is told from its start, after a
        `restart` event, so that a reader can drop what it had; that first batch comes at once, empty or not.
        Yields an empty list in silence; never ends by itself.
        """

    async def knows(self, user_id: str, run_id: str) -> bool:
        """Say whether events of this run are kept here."""
