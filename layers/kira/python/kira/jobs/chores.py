"""Chores: what is done again and again beside the runs, and goes on whatever happens to one of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kira.domain.errors import KiraError

log = logging.getLogger("kira.worker")


async def every(seconds: float, chore: Callable[[], Awaitable[object]], *, first_s: float = 0.0) -> None:
    """Do `chore` now, or after `first_s`, and then `seconds` after each end, until cancelled."""
    await asyncio.sleep(first_s)
    while True:
        try:
            await chore()
        except KiraError as error:
            log.warning("%s", error.message)
        except Exception:  # a defect in one chore must not end it for ever: leases and cancels hang on them
            log.exception("a chore failed; it is done again")
        await asyncio.sleep(seconds)
