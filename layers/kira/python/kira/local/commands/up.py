"""`kira up`: start, say where, stop gently."""

from __future__ import annotations

import asyncio
import logging
import sys

import uvloop

from kira.local.server import Ready, serve
from kira.local.settings import read
from kira.services.kira import Kira


def start(options: dict[str, object], *, with_worker: bool) -> None:
    """Serve until stopped; `options` are settings by name, None where not given."""
    settings = read(**options)
    write_log()
    uvloop.run(serve(settings, _tell, with_worker=with_worker))


def write_log() -> None:
    """Let what Kira tells its operator go to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # every attempt to reach a database that is away


def _tell(ready: Ready, kira: Kira) -> None:
    print(f"Kira is ready: {ready.link}", flush=True)
    if ready.token:
        print("This address signs you in; keep it to yourself. Stop with Ctrl+C.", flush=True)
    asyncio.get_running_loop().create_task(_tell_models(kira))


async def _tell_models(kira: Kira) -> None:
    await kira.models.settled()
    advice = kira.models.fleet().advice
    if advice:
        print(advice, flush=True)
