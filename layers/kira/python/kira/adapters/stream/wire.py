"""The wire: what carries events between processes, and what a stream asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kira.domain.events import Event
from kira.ports.stream import Source

Known = Mapping[str, Mapping[str, int]]
"""For each user that is read, the number of the last event of each of their runs that is known already."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one run said in a moment, numbered by the process that said it."""

    source: Source
    events: Sequence[Event]


class Wire(Protocol):
    """Carries what runs say; it may forget what is older than STREAM_KEPT_SECONDS after the end of a run."""

    async def publish(self, spoken: Sequence[Spoken]) -> None:
        """Write what many runs said, in one go; raises KiraError when that is not possible now."""

    async def read(self, known: Known) -> Sequence[Spoken]:
        """Return what was published for the users of `known`, at least all that is above what is known.

        The events of one run are in the order of their numbers; more than was asked for does no harm.
        """

    async def wait(self, seconds: float) -> None:
        """Return when there may be news, or after about `seconds`."""

    async def trim(self) -> None:
        """Forget what is no longer kept."""

    async def check(self) -> None:
        """Raise WrongSetting when the wire cannot be reached."""

    async def close(self) -> None:
        """Close what was opened."""


class News(Protocol):
    """A hint that something was published; a lost one costs time only."""

    @property
    def hears(self) -> bool:
        """Say whether hints come at all just now."""

    async def wait(self, seconds: float) -> None:
        """Return at the next hint, or after `seconds`."""
