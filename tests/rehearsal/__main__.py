"""`make rehearse`: deploys the stacks of this checkout into moto, asks a question, and says how long it took."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.local.rig import model_server
from tests.rehearsal.rig import rehearsal
from tests.rehearsal.scenario import PATIENCE_S, Seen, ask_first, visiting

SECONDS_MAX = 60
"""From nothing to the first streamed answer."""


def main() -> int:
    """Rehearse once; return what the process ends with."""
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="kira-rehearsal-"))
    with model_server(rate=100, tokens=20) as model, rehearsal(folder) as found:
        print(
            f"deployed   {time.monotonic() - begun:5.1f} s   {len(found.deployed.assembly.stacks)} stacks", flush=True
        )
        found.start_worker(model)
        with _told(found.told):
            seen = asyncio.run(_first(found.address))
        seconds = time.monotonic() - begun
        first = next(moment for moment, frame in zip(seen.moments, seen.frames, strict=True) if frame.kind == "delta")
        print(f"answered   {seconds:5.1f} s   first word {first:.1f} s after the question")
        for each in found.gate.refused:
            print(f"refused    {each.call.action} {each.call.resource}: {each.refusal}")
        print(f"allowed    {len(found.gate.records)} calls of AWS by the template's own policies")
        return int(seconds > SECONDS_MAX or bool(found.gate.refused))


async def _first(address: str) -> Seen:
    async with visiting(address) as nobody:
        return await ask_first(nobody, "first", patience_s=PATIENCE_S)


@contextmanager
def _told(say: Callable[[], str]) -> Iterator[None]:
    """Print what functions and workers said when it goes wrong."""
    try:
        yield
    except AssertionError:
        print(say())
        raise


if __name__ == "__main__":
    sys.exit(main())
