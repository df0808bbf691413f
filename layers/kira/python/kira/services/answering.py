"""Answering: what a run reads, what it asks the model, and how it ends; one user's rows at a time."""

from __future__ import annotations

from dataclasses import dataclass

from kira.domain import texts
from kira.domain.ids import new_id
from kira.domain.limits import ANSWER_TOKENS_MAX, CONTEXT_MESSAGES_MAX, RUNS_WAITING_PER_USER_MAX
from kira.domain.runs import Claim, Failure, Kind, State
from kira.ports.clock import Clock
from kira.ports.database import Call, Database
from kira.ports.engine import Finished, Line, Prompt, Role

TITLE_TOKENS_MAX = 60
TITLE_READS_CHARACTERS = 1_500
TYPICAL_TOKENS_MIN = 16
"""An empty answer still took a turn; without a floor its user's next runs would stand level with each other."""
NAMELESS = frozenset({"demo"})
"""Models that are not asked for titles."""

TITLE_REQUEST = (
    "Write a title for this conversation: at most six words, in its own language, "
    "without quotes and without a full stop. Answer with the title alone."
)


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of the model for one claim; `is_untitled` when its answer is the first and nobody gave a title."""

    prompt: Prompt
    is_untitled: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the text so far, the cost where known, and the failure if it failed."""

    state: State
    text: str = ""
    finished: Finished | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end of a run left: its answer's id, if one is kept, the run that makes a title, and a title, if any."""

    answer_id: str | None = None
    title_run: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """Loads a run's context and writes its end, each in one round trip."""

    database: Database
    clock: Clock

    async def task(self, claim: Claim) -> Task | None:
        """Return what the model is asked, or None when the question is gone."""
        params = {"message_id": claim.message_id, "items": CONTEXT_MESSAGES_MAX}
        found = await self.database.of(claim.user_id).query("messages.branch", params)
        lines = [Line(_role(row["role"]), row["content"]) for row in found]
        if all(line.role == "system" for line in lines):
            return None
        if claim.kind is Kind.TITLE:
            return Task(_title_prompt(claim, lines), is_untitled=False)
        system = [line for line in lines if line.role == "system"]
        said = [line for line in reversed(lines) if line.role != "system"]
        is_untitled = all(line.role == "user" for line in said) and found[-1]["titled_by"] == "words"
        return Task(Prompt(claim.model, [*system, *said], ANSWER_TOKENS_MAX), is_untitled)

    async def end(self, claim: Claim, outcome: Outcome, *, is_untitled: bool) -> Ended:
        """Write the end of a run in one transaction; return what it left.

        Raises NoRow when the lease is no longer held: then somebody else ended the run, and nothing is written.
        """
        answer_id = new_id() if outcome.text and claim.kind is Kind.REPLY else None
        answer_id = answer_id if outcome.state in (State.DONE, State.CANCELLED) else None
        calls = [self._finish(claim, outcome, answer_id)]
        if answer_id is not None:
            calls += self._answer(claim, outcome, answer_id)
        title = title_of(outcome.text) if claim.kind is Kind.TITLE and outcome.state is State.DONE else None
        if title is not None:
            calls.append(Call("conversations.titled", {"conversation_id": claim.conversation_id, "title": title}))
        tokens = outcome.finished.completion_tokens + outcome.finished.prompt_tokens // 8 if outcome.finished else 0
        calls.append(Call("runs.settle", {"run_id": claim.run_id, "tokens": max(tokens, TYPICAL_TOKENS_MIN)}))
        title_run: str | None = None
        if answer_id is not None and is_untitled and outcome.state is State.DONE and claim.model not in NAMELESS:
            title_run = new_id()
            calls.append(self._title_run(claim, answer_id, title_run))
        results = await self.database.of(claim.user_id).run(calls)
        # A user with too many waiting runs gets no title.
        title_run = title_run if results[-1].rows else None
        title = title if results[1].rows else None  # not when a user gave one meanwhile
        return Ended(results[0].rows[0]["answer_id"], title_run, title)

    def _finish(self, claim: Claim, outcome: Outcome, answer_id: str | None) -> Call:
        finished, failure = outcome.finished, outcome.failure
        params = {
            "run_id": claim.run_id,
            "lease": claim.lease,
            "state": outcome.state,
            "answer_id": answer_id,
            "error_code": failure.code if failure else None,
            "error_message": failure.message if failure else None,
            "prompt_tokens": finished.prompt_tokens if finished else None,
            "completion_tokens": finished.completion_tokens if finished else None,
            "now": self.clock.now(),
        }
        return Call("runs.finish", params, must=True)

    def _answer(self, claim: Claim, outcome: Outcome, answer_id: str) -> list[Call]:
        finished, now = outcome.finished, self.clock.now()
        answer = {
            "answer_id": answer_id,
            "message_id": claim.message_id,
            "content": outcome.text,
            "search_text": texts.searchable(outcome.text),
            "model": claim.model,
            "run_id": claim.run_id,
            "cancelled": int(outcome.state is State.CANCELLED),
            "prompt_tokens": finished.prompt_tokens if finished else None,
            "completion_tokens": finished.completion_tokens if finished else None,
            "now": now,
        }
        shown = {
            "conversation_id": claim.conversation_id,
            "message_id": claim.message_id,
            "answer_id": answer_id,
            "now": now,
        }
        return [Call("messages.answer", answer), Call("conversations.answered", shown)]

    def _title_run(self, claim: Claim, answer_id: str, run_id: str) -> Call:
        params = {
            "run_id": run_id,
            "kind": Kind.TITLE,
            "background": 1,
            "message_id": answer_id,
            "model": claim.model,
            "default_model": claim.model,
            "waiting_max": RUNS_WAITING_PER_USER_MAX,
            "now": self.clock.now(),
        }
        return Call("runs.add", params)


def title_of(text: str) -> str:
    """Return the title in what a model wrote: its first full line, bare and short."""
    lines = [line.strip(" \t#*\"'“”«».") for line in text.splitlines()]
    return texts.first_words(next((line for line in lines if line), ""))


def _title_prompt(claim: Claim, lines: list[Line]) -> Prompt:
    said = [line for line in lines if line.role != "system"][:2]
    told = [Line(line.role, line.content[:TITLE_READS_CHARACTERS]) for line in reversed(said)]
    return Prompt(claim.model, [*told, Line("user", TITLE_REQUEST)], TITLE_TOKENS_MAX, think=False)


def _role(role: str) -> Role:
    return "system" if role == "system" else "user" if role == "user" else "assistant"
