"""Which models can be chosen, and which one is taken when nobody chose."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from kira.domain.errors import Invalid
from kira.domain.limits import MODEL_NAME_CHARACTERS_MAX
from kira.ports.engine import Engine, Fleet

NO_MODEL_YET = "demo"
FIRST_LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Models:
    """The models of all model servers; `preferred` is the setting KIRA_MODEL."""

    engine: Engine
    preferred: str | None = None

    async def settled(self) -> None:
        """Wait, right after the start, until it is known which models there are; at most FIRST_LOOK_SECONDS."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await self.engine.looked()

    def fleet(self) -> Fleet:
        """Return models, servers and advice as they are known now."""
        return self.engine.fleet()

    @property
    def default(self) -> str:
        """The model of a user who chose none."""
        return self.preferred or self.engine.fleet().default or NO_MODEL_YET

    def check(self, model: str | None) -> str | None:
        """Return `model` when it can be asked for; a server that is down may have it, so then it is believed."""
        if model is None:
            return None
        if not model or len(model) > MODEL_NAME_CHARACTERS_MAX or not model.isprintable():
            raise Invalid("This is not the name of a model.")
        fleet = self.engine.fleet()
        known = {each.name for each in fleet.models}
        if model not in known and all(server.state in ("ok", "empty") for server in fleet.servers):
            raise Invalid(f"There is no model called {model!r}. Pull it with `ollama pull {model}`, or choose another.")
        return model
