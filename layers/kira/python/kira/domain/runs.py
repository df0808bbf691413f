"""A run is one piece of work for a model; this is its one state machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Kind(StrEnum):
    """What a run is for; replies are interactive, the others are background."""

    REPLY = "reply"
    TITLE = "title"
    WIDGET = "widget"


STEPS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset({State.QUEUED, State.DONE, State.FAILED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Which state may follow which; the statements that change `runs.state` name the same steps."""

ENDED = frozenset(state for state, following in STEPS.items() if not following)


def may(now: State, following: State) -> bool:
    """Say whether a run in state `now` may go to `following`."""
    return following in STEPS[now]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run cost: tokens read and tokens written."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed: a stable code and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its user sees it; times in microseconds, `wait_s` in seconds (an estimate)."""

    id: str
    kind: Kind
    state: State
    conversation_id: str | None
    message_id: str | None
    answer_id: str | None
    model: str | None
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    position: int | None = None
    wait_s: float | None = None
    reason: str | None = None
    error: Failure | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that a worker holds under a lease; only the holder of `lease` may end it."""

    user_id: str
    run_id: str
    kind: Kind
    conversation_id: str | None
    message_id: str | None
    model: str
    attempt: int  # 1 the first time
    lease: str
    created_at: int
