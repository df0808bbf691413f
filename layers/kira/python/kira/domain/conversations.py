"""A conversation is a tree of messages; an edit or another answer is a branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from kira.domain.runs import Run, Usage

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation; `leaf_id` ends the branch that is shown, `run_id` is its active run. Times in microseconds."""

    id: str
    title: str
    created_at: int
    updated_at: int
    leaf_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `cancelled` when it is an answer that was stopped, so it holds the text so far."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: str
    content: str
    created_at: int
    model: str | None = None
    run_id: str | None = None
    cancelled: bool = False
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the run that will answer it."""

    message: Message
    run: Run


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that a search found, with a part of its text and the words in it that were looked for."""

    conversation_id: str
    message_id: str
    title: str
    role: str
    excerpt: str
    marked: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list; `next` is the cursor of the part that follows, None at the end."""

    items: list[Item]
    next: str | None = None
