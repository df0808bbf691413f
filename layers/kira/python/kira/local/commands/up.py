"""`kira up` and `kira worker`: start, say where, stop gently."""

from __future__ import annotations

import asyncio
import logging
import sys

import uvloop

from kira.local.server import Ready, serve, work
from kira.local.settings import read
from kira.services.kira import Kira


def start(options: dict[str, object], *, with_worker: bool) -> None:
    """Serve until stopped; `options` are settings by name, None where not given."""
    settings = read(**options)
    _log()
    uvloop.run(serve(settings, _tell, with_worker=with_worker))


def start_worker(options: dict[str, object]) -> None:
    """Work on runs until stopped."""
    settings = read(**options)
    _log()
    print("Working on runs. Stop with Ctrl+C.", flush=True)
    uvloop.run(work(settings))


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def _tell(ready: Ready, kira: Kira) -> None:
    print(f"Kira is ready: {ready.link}", flush=True)
    if ready.token:
        print("This address signs you in; keep it to yourself. Stop with Ctrl+C.", flush=True)
    asyncio.get_running_loop().create_task(_tell_models(kira))


async def _tell_models(kira: Kira) -> None:
    await asyncio.sleep(0.5)
    advice = kira.models.fleet().advice
    if advice:
        print(advice, flush=True)
