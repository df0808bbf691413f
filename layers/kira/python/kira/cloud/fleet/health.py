"""Whether an instance is well: its worker runs and its Ollama answers, or else the group replaces it."""

from __future__ import annotations

from kira.cloud.fleet.parameters import Parameters
from kira.cloud.fleet.slots import answers
from kira.cloud.fleet.store import NotReady
from kira.cloud.fleet.units import is_active

MISSES_MAX = 5
"""How often in a row it may be unwell, a minute apart; loading a model and starting anew are no illness."""


def look(given: Parameters) -> str | None:
    """Look once; return what is wrong, or None. Raises NotReady when it is wrong for too long."""
    path = given.root / "run/kira/misses"
    trouble = _trouble(given)
    misses = int(path.read_text()) + 1 if trouble and path.is_file() else int(trouble is not None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(misses))
    if trouble and misses >= MISSES_MAX:
        raise NotReady(f"{trouble} ({misses} looks in a row)")
    return trouble


def _trouble(given: Parameters) -> str | None:
    if not is_active("kira-worker"):
        return "The worker does not run."
    if not answers(given.ollama):
        return f"Ollama does not answer at {given.ollama}."
    return None
