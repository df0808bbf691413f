"""Findings: how many slots model servers were found to have, so that a restart need not find it out again."""

from __future__ import annotations

from dataclasses import dataclass

from kira.ports.clock import Clock
from kira.ports.database import Database


@dataclass(frozen=True, slots=True)
class Findings:
    """Keeps one number per server and model, with the versions for which it holds."""

    database: Database
    clock: Clock

    async def load(self, server: str, model: str, version: str) -> int | None:
        """Return the slots that were found for this `version`, or None."""
        found = await self.database.system.query(
            "findings.load", {"server": server, "model": model, "version": version}
        )
        return int(found[0]["slots"]) if found else None

    async def save(self, server: str, model: str, version: str, slots: int) -> None:
        """Remember `slots`."""
        params = {"server": server, "model": model, "version": version, "slots": slots, "now": self.clock.now()}
        await self.database.system.execute("findings.save", params)
