"""Mail: one letter to one reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: plain text, because a link in it is all that is ever needed."""

    to: str
    subject: str
    text: str


class Mail(Protocol):
    """Sends letters from this Kira."""

    async def send(self, letter: Letter) -> None:
        """Hand `letter` over. Raises Unavailable when that is not possible now, Invalid for what nobody can send."""
