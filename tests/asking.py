"""Users and their waiting runs straight in a database, for tests of the queue."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tests import homes

from kira.domain import texts
from kira.domain.limits import RUNS_WAITING_PER_USER_MAX
from kira.domain.runs import Kind
from kira.ports.database import Call, Database, NoRow

MODEL = "test:latest"
_numbers = count(1)


def user_id(number: int) -> str:
    """Return the id of a user, which is the id of that user's one conversation too."""
    return f"00000000-0000-7000-8000-{number:012x}"


def number_of(user: str) -> int:
    """Return which user has this id."""
    return int(user[-12:], 16)


def fill(path: Path, users: int) -> None:
    """Add `users` users, each with a conversation, to the file at `path`."""
    with homes.direct(path) as connection:
        named = [(user_id(number), f"user {number}") for number in range(users)]
        connection.executemany("INSERT INTO users (id, name, role, created_at) VALUES (?, ?, 'user', 0)", named)
        connection.executemany(
            "INSERT INTO conversations (user_id, id, title, created_at, updated_at) VALUES (?, ?, '', 0, 0)",
            [(each, each) for each, _ in named],
        )


async def ask(
    database: Database, now: int, user: int, model: str = MODEL, kind: Kind = Kind.REPLY, content: str = "words"
) -> str | None:
    """Add a question and its run with the statements of admission; return the run's id, None when it was refused.

    Ids rise with every call, so that equal moments have a fixed order.
    """
    number, uid = next(_numbers), user_id(user)
    run, message = (f"00000000-0000-7{part:03x}-8000-{number:012x}" for part in (1, 2))
    asked = {"message_id": message, "conversation_id": uid, "now": now}
    words = {"content": content, "search_text": texts.searchable(content), "run_id": run, "idempotency_key": None}
    added = {"run_id": run, "message_id": message, "model": model, "default_model": model, "now": now}
    background = {"kind": kind, "background": int(kind is not Kind.REPLY), "waiting_max": RUNS_WAITING_PER_USER_MAX}
    calls = [
        Call("messages.ask", {**asked, **words}, must=True),
        Call("runs.add", {**added, **background}, must=True),
        Call("conversations.asked", {**asked, "words": "words"}),
    ]
    try:
        await database.of(uid).run(calls)
    except NoRow:
        return None
    return run
