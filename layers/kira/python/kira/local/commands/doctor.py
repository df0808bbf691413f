"""`kira doctor`: look everything over, say what was found, and what to do where something is wrong."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Iterable

from rich.text import Text

from kira import __version__
from kira.domain.errors import WrongSetting
from kira.local import terminal
from kira.local.commands.checks import here
from kira.local.commands.findings import Finding, State
from kira.local.commands.model_checks import model_servers
from kira.local.commands.server_checks import server
from kira.local.settings import LocalSettings, read

STYLES = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "bold red"}
MARKS = {State.OK: "ok", State.WARNING: "warning", State.WRONG: "wrong"}
INDENT = " " * 9


def examine(options: dict[str, object]) -> None:
    """Print every finding; ends the program with 1 when something is wrong."""
    print(f"Kira {__version__}, Python {platform.python_version()} on {platform.system()}")
    worst = State.OK
    for finding in _findings(options):
        _print(finding)
        worst = max(worst, finding.state)
    if worst is State.WRONG:
        sys.exit(1)


def _findings(options: dict[str, object]) -> Iterable[Finding]:
    try:
        settings = read(**options)
    except WrongSetting as error:
        # Everything else depends on the settings, so nothing more can be said.
        yield Finding(State.WRONG, "settings", error.message, "Correct it; docs/settings.md lists every setting.")
        return
    yield Finding(State.OK, "settings", _given(settings))
    yield from here(settings)
    yield from _server(settings)
    with terminal.aside().status("Asking the model servers ..."):
        found = asyncio.run(model_servers(settings))
    yield from found


def _server(settings: LocalSettings) -> Iterable[Finding]:
    if settings.uses_file:
        return []
    if settings.database == "embedded":
        return [Finding(State.OK, "database", "embedded; it runs while Kira does, and `kira up` looks it over")]
    with terminal.aside().status("Asking the database ..."):
        return asyncio.run(server(settings))


def _given(settings: LocalSettings) -> str:
    names = sorted(name for name in settings.model_fields_set)
    return f"given: {', '.join(names)}; the rest as documented" if names else "none given; all as documented"


def _print(finding: Finding) -> None:
    console = terminal.out()
    mark = Text(f"{MARKS[finding.state]:<{len(INDENT)}}", style=STYLES[finding.state])
    console.print(mark + Text(f"{finding.name}: ", style="bold") + Text(terminal.harmless(finding.found)))
    if finding.advice:
        console.print(Text(f"{INDENT}{terminal.harmless(finding.advice)}", style="dim"))
