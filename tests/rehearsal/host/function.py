"""A deployed function: as many execution environments as it is called at once, within its concurrency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.rehearsal.host.adapter import WebSandbox
from tests.rehearsal.host.invocation import ANSWER_BYTES_MAX, Invocation, Throttled, TooLarge
from tests.rehearsal.host.opt import composed
from tests.rehearsal.host.runtime import Runtime
from tests.rehearsal.host.sandbox import Sandbox
from tests.rehearsal.host.spec import Spec

ACCOUNT_CONCURRENCY = 1000


class Function:
    """Runs what `spec` says; whatever it prints is in `log`."""

    def __init__(self, spec: Spec, runtime: Runtime, folder: Path) -> None:
        """Mount its layers below `folder`; no process starts before the first call."""
        self.log = folder / f"{spec.name}.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self._runtime = runtime
        reserved = ACCOUNT_CONCURRENCY if spec.reserved is None else spec.reserved
        self._free = threading.Semaphore(reserved)
        self._guard = threading.Lock()
        self._idle: list[Sandbox] = []
        self.sandboxes: list[Sandbox] = []
        """Every environment that was ever started."""
        self.on_run: Callable[[Sandbox], None] = lambda _: None
        """Called when an environment begins to answer."""
        self.deploy(spec, folder)

    def deploy(self, spec: Spec, folder: Path) -> None:
        """Let what comes from now on be answered as `spec` says, with its layers mounted below `folder`.

        An environment that is answering ends that first, and is then shut down; those that wait are so at once.
        """
        opt = composed(folder / f"{spec.name}.opt", spec.layers)
        with self._guard:
            self.spec, self._opt = spec, opt
            gone, self._idle = self._idle, []
        for each in gone:
            each.close()

    @contextmanager
    def running(self, payload: bytes) -> Iterator[Invocation]:
        """Begin an invocation and give it; the end of the block waits until its environment is free."""
        if len(payload) > ANSWER_BYTES_MAX:
            raise TooLarge(len(payload))
        if not self._free.acquire(blocking=False):
            raise Throttled(self.spec.name)
        try:
            sandbox, is_cold = self._sandbox()
            invocation = Invocation(payload, time.time() + sandbox.spec.timeout_s, is_cold=is_cold)
            try:
                with self._bounded(sandbox, invocation):
                    sandbox.run(invocation)
                    self.on_run(sandbox)
                    try:
                        yield invocation
                    finally:
                        invocation.drain()
            finally:
                self._put_back(sandbox)
        finally:
            self._free.release()

    def invoke(self, payload: bytes) -> Any:
        """Return what the function answers; raise how it failed."""
        with self.running(payload) as invocation:
            return invocation.result()

    def told(self) -> str:
        """Return what it printed."""
        return self.log.read_text(errors="replace")

    def close(self) -> None:
        """End all of its environments."""
        with self._guard:
            self._idle.clear()
        for each in self.sandboxes:
            each.close()

    def _sandbox(self) -> tuple[Sandbox, bool]:
        with self._guard:
            while self._idle:
                if (found := self._idle.pop()).is_usable:
                    return found, False
            spec, opt = self.spec, self._opt
        made = (WebSandbox if spec.is_web_server else Sandbox)(spec, self._runtime, opt, self.log)
        with self._guard:
            self.sandboxes.append(made)
        made.begun()
        return made, True

    def _put_back(self, sandbox: Sandbox) -> None:
        with self._guard:
            is_kept = sandbox.is_usable and sandbox.spec is self.spec
            if is_kept:
                self._idle.append(sandbox)
        if not is_kept:
            sandbox.close()

    @contextmanager
    def _bounded(self, sandbox: Sandbox, invocation: Invocation) -> Iterator[None]:
        """Kill what takes longer than the function may."""

        def late() -> None:
            sandbox.condemn()
            seconds = f"{sandbox.spec.timeout_s:.2f}"
            invocation.fail(
                {"errorType": "Sandbox.Timedout", "errorMessage": f"Task timed out after {seconds} seconds"}
            )
            sandbox.close()

        timer = threading.Timer(sandbox.spec.timeout_s, late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
