"""`kira worker`: start, work, stop gently."""

from __future__ import annotations

import uvloop

from kira.local.commands.up import write_log
from kira.local.settings import read
from kira.local.working import work


def start(options: dict[str, object]) -> None:
    """Work on runs until stopped; `options` are settings by name, None where not given."""
    settings = read(**options)
    write_log()
    print("Working on runs. Stop with Ctrl+C.", flush=True)
    uvloop.run(work(settings))
