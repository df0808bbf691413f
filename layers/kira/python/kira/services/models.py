"""Which models can be chosen, and which one is taken when nobody chose."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from kira.domain.errors import Invalid, Unavailable
from kira.domain.limits import MODEL_NAME_CHARACTERS_MAX
from kira.ports.engine import Engine, Fleet
from kira.ports.roster import Roster

NOBODY_TOLD = "No worker has told yet which models there are. Try again shortly."
FIRST_LOOK_SECONDS = 3.5


@dataclass(frozen=True, slots=True)
class Models:
    """The models of all model servers."""

    engine: Engine
    roster: Roster | None = None

    async def settled(self) -> None:
        """Wait until it is known which models there are, which matters right after the start and in a function.

        At most FIRST_LOOK_SECONDS.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await self.engine.looked()

    def fleet(self) -> Fleet:
        """Return models, servers and advice as they are known now, with those of workers in other processes."""
        fleet = self.engine.fleet()
        others = self.roster.others if self.roster is not None else ()
        return fleet.joined(others) if others and fleet.models else fleet

    @property
    def default(self) -> str:
        """The model of a user who chose none; raises Unavailable while no worker of any process has told one."""
        default = self.fleet().default
        if default is None:
            raise Unavailable(NOBODY_TOLD, retry_after_s=5)
        return default

    def full_name(self, model: str) -> str:
        """Return the name under which servers list `model`: without a tag it means `latest`, as with Ollama."""
        known = {each.name for each in self.fleet().models}
        return f"{model}:latest" if model not in known and f"{model}:latest" in known else model

    def check(self, model: str | None) -> str | None:
        """Return the full name of `model` when it can be asked for.

        A server that is down may have it, so then it is believed. Raises Invalid.
        """
        if model is None:
            return None
        if not model or len(model) > MODEL_NAME_CHARACTERS_MAX or not model.isprintable():
            raise Invalid("This is not the name of a model.")
        fleet, model = self.fleet(), self.full_name(model)
        all_answer = all(server.state in ("ok", "empty") for server in fleet.servers)
        if all_answer and all(model != each.name for each in fleet.models):
            raise Invalid(f"There is no model called {model!r}. Pull it with `ollama pull {model}`, or choose another.")
        return model
