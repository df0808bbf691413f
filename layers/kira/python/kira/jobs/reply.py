"""One claimed run from its context to its end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field

from kira.domain.errors import EngineError, GaveUp, KiraError, TooSlow
from kira.domain.limits import ANSWER_BYTES_MAX, RUN_ATTEMPTS_MAX, RUN_SECONDS_MAX
from kira.domain.runs import Claim, Failure, State
from kira.jobs.line import AGAIN
from kira.jobs.telling import Teller, Telling
from kira.ports.database import NoRow
from kira.ports.engine import Engine, Finished, Notice, Text, Thinking, ToolCall
from kira.ports.queue import Queue
from kira.ports.stream import Source
from kira.services.answering import Answering, Ended, Outcome, Task

log = logging.getLogger("kira.worker")

END_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses between attempts to write the end of a run while the database cannot be written."""

UNCOUNTED = frozenset({"MODEL_SERVER_DOWN", "MODEL_SERVER_BUSY"})
"""Failures that are not the run's: it waits for a server as long as that takes."""


@dataclass(slots=True)
class Reply:
    """Works on one claim; `stop` says why a cancelled task ends."""

    claim: Claim
    answering: Answering
    engine: Engine
    queue: Queue
    telling: Telling
    seconds_max: float = RUN_SECONDS_MAX
    stop: State | None = None  # CANCELLED: the user asked; QUEUED: handed back; None: the lease was lost
    text: list[str] = field(default_factory=list)
    finished: Finished | None = None
    task: Task | None = None
    ended: Ended = field(default_factory=Ended)
    is_ending: bool = False
    is_handed_back: bool = False

    async def work(self) -> None:
        """Go from the context to the end; never raises for what a model server or a user did."""
        claim = self.claim
        teller = Teller(self.telling, source_of(claim), claim.attempt)
        try:
            if claim.attempt > 1:
                await teller.say("restart", {})
            task = await self.answering.task(claim)
            if task is None:
                await self._end(teller, Outcome(State.CANCELLED))
                return
            await teller.say("started", {"model": claim.model, "message_id": claim.message_id})
            self.task = task  # from here to the engine's slot nothing else runs, so that the slot is counted once
            async with asyncio.timeout(self.seconds_max):
                await self._stream(teller, task)
            await self._end(teller, Outcome(State.DONE, "".join(self.text), self.finished))
        except asyncio.CancelledError:
            await asyncio.shield(self._stopped(teller))
            raise
        except TimeoutError:
            await self._failed(teller, TooSlow(f"The answer took longer than {self.seconds_max / 60:.0f} minutes."))
        except EngineError as error:
            await self._failed(teller, error)

    async def broke(self) -> None:
        """Give the run back after a defect of ours, or end it when it was begun too often."""
        error = EngineError("Something went wrong in Kira. It was written to the log.")
        error.retry = True
        await self._failed(Teller(self.telling, source_of(self.claim), self.claim.attempt), error)

    async def _stream(self, teller: Teller, task: Task) -> None:
        size = 0
        async with aclosing(self.engine.reply(task.prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Text):
                    size += len(piece.text)
                    self.text.append(piece.text)
                    teller.gather("delta", piece.text)
                elif isinstance(piece, Finished):
                    self.finished = piece
                else:
                    await _other(teller, piece)
                if size > ANSWER_BYTES_MAX:
                    return

    async def _stopped(self, teller: Teller) -> None:
        if self.stop is State.CANCELLED:
            await self._end(teller, Outcome(State.CANCELLED, "".join(self.text), self.finished))
        elif self.stop is State.QUEUED:
            await self._hand_back(teller, "Kira is restarting; the answer begins again.", counted=False)

    async def _failed(self, teller: Teller, error: EngineError) -> None:
        if error.retry and (error.code in UNCOUNTED or self.claim.attempt < RUN_ATTEMPTS_MAX):
            await self._hand_back(teller, error.message, counted=error.code not in UNCOUNTED)
            return
        if error.retry:
            error = GaveUp(f"{GaveUp().message} The last reason: {error.message}")
        await self._end(teller, Outcome(State.FAILED, failure=Failure(error.code, error.message)))

    async def _hand_back(self, teller: Teller, reason: str, *, counted: bool) -> None:
        self.is_handed_back = True
        await teller.say("queued", dict(AGAIN))  # before it is back in the line, where it may begin at once
        await teller.say("reason", {"text": reason})
        await self.queue.give_back(self.claim, reason, counted=counted)

    async def _end(self, teller: Teller, outcome: Outcome) -> None:
        """Write the end, then say it; while the database cannot be written, keep the answer and try again."""
        self.is_ending = True
        for pause in (*END_PAUSES_S, None):
            try:
                is_untitled = self.task.is_untitled if self.task else False
                self.ended = await self.answering.end(self.claim, outcome, is_untitled=is_untitled)
                break
            except NoRow:
                return  # the lease was lost: whoever holds the run now says how it ends
            except KiraError as error:
                if pause is None:
                    log.exception("run %s could not be ended; it goes again later", self.claim.run_id)
                    return
                log.warning("run %s: %s", self.claim.run_id, error.message)
                await teller.say("reason", {"text": error.message})
                await asyncio.sleep(pause)
        await self._say_end(teller, outcome, self.ended)

    async def _say_end(self, teller: Teller, outcome: Outcome, ended: Ended) -> None:
        if ended.title is not None:
            await teller.say("title", {"title": ended.title})
        if outcome.state is State.DONE:
            spent = self.finished or Finished(0, 0, "stop")
            usage = {"prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens}
            await teller.say("done", {"message_id": ended.answer_id, "usage": usage})
        elif outcome.state is State.FAILED and outcome.failure is not None:
            await teller.say("failed", {"code": outcome.failure.code, "message": outcome.failure.message})
        else:
            await teller.say("cancelled", {"message_id": ended.answer_id})


def source_of(claim: Claim) -> Source:
    """Return who speaks when the run of `claim` speaks."""
    return Source(claim.user_id, claim.run_id, claim.conversation_id, claim.kind)


async def _other(teller: Teller, piece: Notice | Thinking | ToolCall) -> None:
    if isinstance(piece, Notice):
        await teller.say("reason", {"text": piece.text})
    elif isinstance(piece, Thinking):
        teller.gather("thinking", piece.text)
    else:
        await teller.say("tool", {"id": piece.id, "name": piece.name, "state": "asked", "summary": piece.name})
