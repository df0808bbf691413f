"""Kills environments of functions while they answer, as a computer that fails under one would."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.rehearsal.host.function import Function
from tests.rehearsal.host.sandbox import Sandbox


@dataclass
class Killer:
    """Lets some of the invocations of functions be their environment's last."""

    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    """How many were killed in the middle, by the names of their functions."""
    _haunted: list[Function] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def haunt(self, function: Function, share: float, within_s: float, most: int) -> None:
        """Kill at most `most` environments of a function, each so soon after it began to answer."""
        name = function.spec.name

        def on_run(sandbox: Sandbox) -> None:
            with self._guard:
                is_chosen = self.killed[name] < most and self.chance.random() < share
                delay = self.chance.uniform(0, within_s)
            if is_chosen:
                timer = threading.Timer(delay, kill, (sandbox, sandbox.served))
                timer.daemon = True
                timer.start()

        def kill(sandbox: Sandbox, served: int) -> None:
            if sandbox.kill_while_it_answers(served):
                with self._guard:
                    self.killed[name] += 1

        function.on_run = on_run
        self._haunted.append(function)

    def rest(self) -> None:
        """Kill no more."""
        for function in self._haunted:
            function.on_run = lambda _: None
