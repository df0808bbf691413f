"""Rows of the database as records of the domain."""

from __future__ import annotations

from typing import Any

from kira.domain.conversations import Conversation, Message
from kira.domain.runs import Failure, Kind, Run, State, Usage
from kira.ports.database import Row


def conversation(row: Row) -> Conversation:
    """Return the conversation of a row of `conversations.page` or `conversations.one`."""
    return Conversation(row["id"], row["title"], row["created_at"], row["updated_at"], row["leaf_id"], row["run_id"])


def message(row: Row) -> Message:
    """Return the message of a row of `messages.page` or `messages.one`."""
    return Message(
        id=row["id"],
        conversation_id=row["conversation_id"],
        parent_id=row["parent_id"],
        role=row["role"],
        content=row["content"],
        created_at=row["created_at"],
        model=row["model"],
        run_id=row["run_id"],
        cancelled=bool(row["cancelled"]),
        usage=_usage(row),
    )


def run(row: Row) -> Run:
    """Return the run of a row of `runs.one`."""
    return Run(
        id=row["id"],
        kind=Kind(row["kind"]),
        state=State(row["state"]),
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        answer_id=row["answer_id"],
        model=row["model"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        reason=row["reason"],
        error=Failure(row["error_code"], row["error_message"] or "") if row["error_code"] else None,
        usage=_usage(row),
    )


def _usage(row: Row) -> Usage | None:
    read: Any = row["prompt_tokens"]
    return None if read is None else Usage(int(read), int(row["completion_tokens"] or 0))
