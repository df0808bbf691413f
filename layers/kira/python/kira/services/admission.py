"""Admission: the one place where a run is accepted or refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kira.domain import texts
from kira.domain.conversations import Asked, Message
from kira.domain.errors import Invalid, NotFound, QueueFull, RateLimited
from kira.domain.ids import new_id
from kira.domain.limits import (
    HINT_LOST_SECONDS,
    IDEMPOTENCY_KEY_CHARACTERS_MAX,
    RUNS_WAITING_PER_USER_MAX,
    Limit,
)
from kira.domain.moments import SECOND
from kira.domain.runs import Kind, Run, State
from kira.ports.alarm import Alarm
from kira.ports.clock import Clock
from kira.ports.database import Call, NoRow
from kira.ports.queue import Queue
from kira.ports.stream import Source, Stream
from kira.services import rows
from kira.services.models import Models
from kira.services.visits import Visit
from kira.services.waiting import Line


class Below(Enum):
    """Where a question goes when no message is named."""

    LEAF = "leaf"  # at the end of the branch that is shown
    TOP = "top"  # at the top of the conversation


@dataclass(frozen=True, slots=True)
class Question:
    """What a user asks: `parent` is a message id or a Below, `key` makes a repeat harmless."""

    conversation_id: str
    content: str
    parent: str | Below = Below.LEAF
    model: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """Accepts questions as runs: one transaction that does all or nothing."""

    clock: Clock
    queue: Queue
    stream: Stream
    models: Models
    line: Line
    limit: Limit | None
    alarm: Alarm | None = None

    async def ask(self, visit: Visit, question: Question) -> Asked:
        """Accept a question and queue the run that answers it; a repeat with the same key gives the first again.

        Raises Invalid, TooLarge, NotFound (conversation or parent), RateLimited and QueueFull; then nothing happened.
        """
        content = texts.message(question.content)
        await self.models.settled()
        key = _key(question.key)
        model = self._model(question.model)
        message_id, run_id, now = new_id(), new_id(), self.clock.now()
        add: dict[str, object] = {
            "message_id": message_id,
            "conversation_id": question.conversation_id,
            "content": content,
            "search_text": texts.searchable(content),
            "run_id": run_id,
            "idempotency_key": key,
            "now": now,
        }
        shown = {
            "conversation_id": question.conversation_id,
            "message_id": message_id,
            "words": texts.first_words(content),
            "now": now,
        }
        calls = [
            _add_message(question.parent, add),
            self._add_run(run_id, message_id, model, now),
            Call("conversations.asked", shown),
        ]
        try:
            added, run, _ = await visit.run(calls, limit=self.limit)
        except (NoRow, RateLimited) as refused:
            return await self._explain(visit, key, refused)
        message = Message(
            message_id, question.conversation_id, added.rows[0]["parent_id"], "user", content, now, run_id=run_id
        )
        return Asked(message, await self._queued(visit, message, run_id, str(run.rows[0]["model"]), now))

    async def again(self, visit: Visit, message_id: str, model: str | None) -> Run:
        """Queue another answer: to the question itself, or to the question that an answer belongs to."""
        await self.models.settled()
        model = self._model(model)
        found = await visit.query("messages.one", {"message_id": message_id})
        if not found:
            raise NotFound
        message = rows.message(found[0])
        question_id = message.id if message.role == "user" else message.parent_id
        if question_id is None:
            raise NotFound
        run_id, now = new_id(), self.clock.now()
        shown = {"conversation_id": message.conversation_id, "message_id": question_id, "words": "", "now": now}
        calls = [self._add_run(run_id, question_id, model, now), Call("conversations.asked", shown)]
        try:
            run, _ = await visit.run(calls, limit=self.limit)
        except NoRow as refused:
            raise self._full() from refused
        question = Message(question_id, message.conversation_id, None, "user", "", now)
        return await self._queued(visit, question, run_id, str(run.rows[0]["model"]), now)

    def _model(self, model: str | None) -> str | None:
        if self.line.is_full:
            raise self._full()
        return self.models.check(model)

    def _add_run(self, run_id: str, message_id: str, model: str | None, now: int) -> Call:
        params = {
            "run_id": run_id,
            "kind": Kind.REPLY,
            "background": 0,
            "message_id": message_id,
            "model": model,
            "default_model": self.models.default if model is None else model,
            "waiting_max": RUNS_WAITING_PER_USER_MAX,
            "now": now,
        }
        return Call("runs.add", params, must=True)

    async def _queued(self, visit: Visit, message: Message, run_id: str, model: str, now: int) -> Run:
        position = self.line.joined()
        wait_s = self.line.wait_s(position)
        source = Source(visit.user_id, run_id, message.conversation_id, Kind.REPLY)
        said = {"position": position, "wait_s": wait_s, "message_id": message.id}
        await self.stream.append(source, 1, [("queued", said)])
        await self.queue.send(visit.user_id, run_id, model)
        if self.alarm is not None:
            await self.alarm.set(now + HINT_LOST_SECONDS * SECOND)
        return Run(
            id=run_id,
            kind=Kind.REPLY,
            state=State.QUEUED,
            conversation_id=message.conversation_id,
            message_id=message.id,
            answer_id=None,
            model=model,
            created_at=now,
            position=position,
            wait_s=wait_s,
        )

    async def _explain(self, visit: Visit, key: str | None, refused: NoRow | RateLimited) -> Asked:
        """Return what was accepted under `key` before, even when a limit is reached by now, or say what is wrong."""
        if isinstance(refused, NoRow) and refused.name == "runs.add":
            raise self._full() from refused
        if key is not None:
            found = await visit.query("messages.by_key", {"idempotency_key": key})
            if found:
                message = rows.message(found[0])
                run = await visit.query("runs.one", {"run_id": message.run_id})
                return Asked(message, rows.run(run[0]))
        if isinstance(refused, RateLimited):
            raise refused
        raise NotFound from refused

    def _full(self) -> QueueFull:
        return QueueFull(retry_after_s=max(1, round(self.line.service_s)))


def _add_message(parent: str | Below, params: dict[str, object]) -> Call:
    if parent is Below.LEAF:
        return Call("messages.ask", params, must=True)
    if parent is Below.TOP:
        return Call("messages.ask_first", params, must=True)
    return Call("messages.ask_below", {**params, "parent_id": parent}, must=True)


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    if not 0 < len(key) <= IDEMPOTENCY_KEY_CHARACTERS_MAX or not key.isprintable():
        raise Invalid(f"Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} printable characters.")
    return key
