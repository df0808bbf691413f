"""Fills a data folder with the conversations of the single user, through Kira's own statements."""

from __future__ import annotations

from dataclasses import dataclass

from kira.domain.ids import new_id
from kira.local.world import Local
from kira.ports.database import Call, Params
from kira.services.kira import Kira

BATCH = 200


@dataclass(frozen=True)
class Written:
    """What was written: the user, and the ids of conversations and messages in their order."""

    user_id: str
    conversations: list[str]
    messages: list[str]


async def write(world: Local, *, conversations: int = 1, questions: int = 2, size: int = 20, local: int = 1) -> Written:
    """Write `conversations` of `questions` with answers of `size` characters, and close the world."""
    try:
        user = await Kira(world).accounts.local_user()
        written = Written(user.id, [], [])
        if not local:
            return written
        calls: list[Call] = []
        for number in range(conversations):
            calls += _conversation(world, written, number, questions, size)
        for start in range(0, len(calls), BATCH):
            await world.database.of(user.id).run(calls[start : start + BATCH])
        return written
    finally:
        await world.close()


def _conversation(world: Local, written: Written, number: int, questions: int, size: int) -> list[Call]:
    conversation_id = new_id()
    written.conversations.append(conversation_id)
    now = world.clock.now()
    params: Params = {"conversation_id": conversation_id, "title": f"Talk {number}", "titled_by": "user", "now": now}
    calls = [Call("conversations.add", params)]
    for question in range(questions):
        calls += _exchange(written, conversation_id, f"question {question}", "answer".ljust(size, "."), now)
    return calls


def _exchange(written: Written, conversation_id: str, question: str, answer: str, now: int) -> list[Call]:
    message_id, answer_id, run_id = new_id(), new_id(), new_id()
    written.messages.extend((message_id, answer_id))
    asked = {
        "message_id": message_id,
        "conversation_id": conversation_id,
        "content": question,
        "search_text": question,
        "run_id": run_id,
        "idempotency_key": None,
        "now": now,
    }
    shown = {"conversation_id": conversation_id, "message_id": message_id, "words": question, "now": now}
    answered = {
        "answer_id": answer_id,
        "message_id": message_id,
        "content": answer,
        "search_text": answer,
        "model": "test",
        "run_id": run_id,
        "cancelled": 0,
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "now": now,
    }
    return [
        Call("messages.ask", asked, must=True),
        Call("conversations.asked", shown),
        Call("messages.answer", answered, must=True),
        Call("conversations.answered", shown | {"answer_id": answer_id}),
    ]
