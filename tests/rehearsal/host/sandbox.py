"""One execution environment of a function: one process that answers one invocation at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from tests.rehearsal.host.environment import environment_of
from tests.rehearsal.host.invocation import Failed, Invocation
from tests.rehearsal.host.process import Process
from tests.rehearsal.host.runtime import PYTHON, Runtime
from tests.rehearsal.host.runtime_api import RuntimeApi
from tests.rehearsal.host.spec import Spec

INIT_SECONDS = 10
"""How long Lambda waits for a function to load."""


class Sandbox:
    """A function's process; frozen whenever it has nothing to answer."""

    def __init__(self, spec: Spec, runtime: Runtime, opt: Path, log: Path) -> None:
        """Start it; `begun` waits until it is loaded."""
        self.spec = spec
        self._loaded = threading.Event()
        self._guard = threading.Lock()
        self._init_error: Failed | None = None
        self._current: Invocation | None = None
        self._is_condemned = False
        self.served = 0
        """How many invocations it has answered."""
        self.process = self._started(spec, runtime, opt, log)
        self.process.when_ended(self._on_death)

    def _started(self, spec: Spec, runtime: Runtime, opt: Path, log: Path) -> Process:
        self._api = RuntimeApi(spec.arn, self)
        environment = environment_of(spec, runtime, opt) | {"AWS_LAMBDA_RUNTIME_API": self._api.address}
        # As the bootstrap of the managed runtime sets it: the function first, then its layers, then the runtime.
        paths = [spec.folder, opt / "python" / "lib" / f"python{PYTHON}" / "site-packages", opt / "python"]
        environment["PYTHONPATH"] = ":".join(map(str, [*paths, runtime.packages]))
        command: list[str | Path] = [runtime.python, "-m", "awslambdaric", spec.handler]
        return Process(command, spec.folder, environment, log)

    def begun(self) -> None:
        """Return when the function is loaded; raise what Lambda would report when it is not."""
        if not self._loaded.wait(INIT_SECONDS):
            self.close()
            raise Failed("Sandbox.Timedout", f"it did not load within {INIT_SECONDS} s")
        if self._init_error is not None:
            self.close()
            raise self._init_error

    def run(self, invocation: Invocation) -> None:
        """Let it answer `invocation`."""
        with self._guard:
            self._current = invocation
            self.process.thaw()
        self._give(invocation)

    def _give(self, invocation: Invocation) -> None:
        self._api.give(invocation)

    @property
    def is_usable(self) -> bool:
        """Whether it may be given more."""
        return self.process.is_alive and not self._is_condemned

    def condemn(self) -> None:
        """Let nobody use it again."""
        self._is_condemned = True

    def kill_while_it_answers(self, served: int) -> bool:
        """Kill its process if it still answers what came after so many; say whether."""
        with self._guard:
            is_so = self._current is not None and self.served == served
            if is_so:
                self.condemn()
                self.process.kill()
        return is_so

    def close(self) -> None:
        """End it."""
        self.condemn()
        self.process.kill()
        self._api.close()

    def on_ready(self) -> None:
        """It asks for work: nothing runs there until there is some."""
        self._loaded.set()
        with self._guard:
            if self._current is None and self.served:
                self.process.freeze()

    def on_init_error(self, told: dict[str, Any]) -> None:
        """It could not load the function."""
        self._init_error = Failed(str(told.get("errorType")), str(told.get("errorMessage")))
        self._loaded.set()

    def on_done(self) -> None:
        """It has answered."""
        with self._guard:
            self._current = None
            self.served += 1

    def _on_death(self, code: int) -> None:
        with self._guard:
            ended, self._current = self._current, None
        if not self._loaded.is_set():
            self._init_error = Failed("Runtime.ExitError", f"the process ended with {code} while it loaded")
            self._loaded.set()
        if ended is not None:
            ended.fail({"errorType": "Runtime.ExitError", "errorMessage": f"the process ended with {code}"})
