"""Judges from flows how many slots a server has; pure counting, no clock decides alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from kira.adapters.engine.ollama.flow import Flow

TOKENS_TO_DECIDE = 8
READS_TO_OVERLAP = 3
"""What was sent before a flow ended arrives in one or two reads: a flow that is read this often still goes."""

READS_TO_WAIT = 8
"""Whoever stands in line does so for this many reads of all others; after a pause many tokens come in one read."""

TOKENS_ALONE = 32
"""A probe that does not begin while another flow gives this many tokens stands in line."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`slots` flows went at the same time; `is_exact` when one more had to wait."""

    slots: int
    is_exact: bool


class Judge:
    """Watches `runs` that stream and `probes` that were asked for just now; `verdict` is None when disturbed."""

    def __init__(self, runs: Sequence[Flow], probes: Sequence[Flow]) -> None:
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        self._runs, self._probes = tuple(runs), tuple(probes)
        self._began = 0
        self._marked_at = self._asked_at = self._loop.time()
        self._marks = self._counts()
        self.verdict: asyncio.Future[Verdict | None] = self._loop.create_future()
        for flow in (*self._runs, *self._probes):
            flow.watcher = self.look

    def close(self) -> None:
        """Watch no longer."""
        for flow in (*self._runs, *self._probes):
            flow.watcher = None

    def look(self) -> None:
        """Decide, if what was seen is enough."""
        if self.verdict.done():
            return
        begun = [probe for probe in self._probes if probe.began_at is not None]
        if any(probe.has_ended and probe.began_at is None for probe in self._probes):
            self.verdict.set_result(None)
        elif not begun:
            self._look_alone()
        else:
            if len(begun) != self._began:
                self._began, self._marked_at, self._marks = len(begun), self._loop.time(), self._counts()
            self._look_together(begun)

    def _look_alone(self) -> None:
        """No probe has begun: it waits, or the server still reads its prompt."""
        if not self._runs:
            return
        has_ended = any(run.has_ended for run in self._runs)
        tokens = min(self._since_mark(run)[1] for run in self._runs)
        needed = max(run.began_at - run.asked_at for run in self._runs if run.began_at is not None)
        was_patient = self._loop.time() - self._asked_at >= 2 * needed
        reads = min(self._since_mark(run)[0] for run in self._runs)
        is_enough = reads >= READS_TO_WAIT and tokens >= (TOKENS_TO_DECIDE if has_ended else TOKENS_ALONE)
        if was_patient and is_enough:
            self.verdict.set_result(Verdict(len(self._runs), is_exact=True))
        elif has_ended:
            self.verdict.set_result(None)

    def _look_together(self, begun: Sequence[Flow]) -> None:
        """Some probes have begun: all that go must be seen to go on after the last one began."""
        if any(run.has_ended for run in self._runs):
            self.verdict.set_result(None)
            return
        going = (*self._runs, *begun)
        since = [self._since_mark(flow) for flow in going]
        reads, tokens = (min(column) for column in zip(*since, strict=True))
        has_ended = any(probe.has_ended for probe in begun)
        if len(begun) == len(self._probes) and reads >= READS_TO_OVERLAP and tokens >= TOKENS_TO_DECIDE:
            self.verdict.set_result(Verdict(len(going), is_exact=False))
        elif len(begun) < len(self._probes) and reads >= READS_TO_WAIT and tokens >= TOKENS_TO_DECIDE:
            spread = self._marked_at - self._asked_at
            if has_ended or self._loop.time() - self._marked_at >= spread / 2:
                self.verdict.set_result(Verdict(len(going), is_exact=True))
        elif has_ended:
            self.verdict.set_result(None)

    def _counts(self) -> dict[Flow, tuple[int, int]]:
        return {flow: (flow.reads, flow.tokens) for flow in (*self._runs, *self._probes)}

    def _since_mark(self, flow: Flow) -> tuple[int, int]:
        reads, tokens = self._marks[flow]
        return flow.reads - reads, flow.tokens - tokens
