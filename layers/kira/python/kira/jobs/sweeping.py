"""Sweeping: forgets what has expired, once an hour."""

from __future__ import annotations

import asyncio
import logging

from kira.domain.errors import KiraError
from kira.services.sessions import Sessions

log = logging.getLogger("kira.worker")

SWEEP_SECONDS = 3_600
FIRST_SWEEP_SECONDS = 60


async def sweep(sessions: Sessions) -> None:
    """Sweep until cancelled."""
    await asyncio.sleep(FIRST_SWEEP_SECONDS)
    while True:
        try:
            await sessions.sweep()
        except KiraError as error:
            log.warning("%s", error.message)
        await asyncio.sleep(SWEEP_SECONDS)
