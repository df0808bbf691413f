"""Fits a conversation into a model's context, by one stated rule.

The system text and the last message always stay. The oldest messages go first, in pairs of question and answer, so
that what remains begins with a question. Room for the answer is kept free. Whoever asked is told what was left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from kira.domain.errors import TooLong

TOKENS_PER_MESSAGE = 8
"""What the template adds around each message: role, begin and end marks."""

ASCII_PER_TOKEN = 3
BYTES_PER_TOKEN = 2
"""Text of other scripts and symbols: tokenizers fall back to bytes, two or three of which make a token."""

ANSWER_SHARE = 4
"""One part in this many of the context is kept for the answer, unless the answer is bounded to less."""


class Said(Protocol):
    """A message as a model reads it."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


S = TypeVar("S", bound=Said)


@dataclass(frozen=True, slots=True)
class Fitted(Generic[S]):
    """What fits: the messages, how many were left out, and the estimate of what remains in tokens."""

    messages: tuple[S, ...]
    left_out: int
    tokens: int

    @property
    def notice(self) -> str | None:
        """One sentence for whoever asked; None when nothing was left out."""
        if not self.left_out:
            return None
        count = "The oldest message was" if self.left_out == 1 else f"The {self.left_out} oldest messages were"
        return f"{count} left out: the conversation is longer than this model can read."


def estimate(text: str) -> int:
    """Return how many tokens `text` is at most likely to be.

    Three ASCII characters, or two bytes of anything else, for a token: English is nearer to four, code to three,
    and other scripts to three bytes. It errs on the long side, because a prompt that is too long is cut silently.
    """
    size = len(text.encode(errors="replace"))
    ascii_only = len(text) if size == len(text) else sum(character < "\x80" for character in text)
    return -(-ascii_only // ASCII_PER_TOKEN) - (-(size - ascii_only) // BYTES_PER_TOKEN)


def room_for_answer(context: int, tokens_max: int) -> int:
    """Return the tokens kept for the answer in a context of `context` tokens."""
    return max(1, min(tokens_max, context // ANSWER_SHARE))


def fit(messages: Sequence[S], context: int | None, tokens_max: int) -> Fitted[S]:
    """Fit `messages` into `context` tokens with room for an answer of at most `tokens_max`.

    A `context` of None is not bounded. Raises TooLong when the system text and the last message alone do not fit.
    """
    costs = [estimate(message.content) + TOKENS_PER_MESSAGE for message in messages]
    total = sum(costs)
    if context is None or not messages:
        return Fitted(tuple(messages), 0, total)
    room = context - room_for_answer(context, tokens_max)
    rest = [at for at, message in enumerate(messages) if message.role != "system"]
    gone: set[int] = set()
    while total > room and len(rest) > 1:
        for at in _oldest_pair(messages, rest):
            gone.add(at)
            total -= costs[at]
            rest.remove(at)
    if total > room:
        raise TooLong(
            f"This message is about {total:,} tokens long and the model can read {room:,} at once. "
            "Shorten it, or choose a model with more context."
        )
    return Fitted(tuple(message for at, message in enumerate(messages) if at not in gone), len(gone), total)


def _oldest_pair(messages: Sequence[S], rest: Sequence[int]) -> list[int]:
    """Return the oldest question with all that answered it; never the last message."""
    pair = [rest[0]]
    for at in rest[1:-1]:
        if messages[at].role == "user":
            break
        pair.append(at)
    return pair
