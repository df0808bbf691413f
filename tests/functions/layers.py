"""What a function has beside its own folder: Kira's layer, the layer of libraries, and its runtime."""

from __future__ import annotations

from pathlib import Path

from tests.rehearsal.host.runtime import layer_here, managed_runtime

ROOT = Path(__file__).parents[2]
KIRA = ROOT / "layers" / "kira" / "python"


def libraries() -> Path:
    """Return the folder with the layer of libraries for this computer."""
    return layer_here() / "python"


def runtime() -> Path:
    """Return the folder that stands for the managed runtime."""
    return managed_runtime().packages


def path_of(function: str) -> list[str]:
    """Return where the function may import from, beside Python's own library."""
    return [str(ROOT / "functions" / function), str(KIRA), str(libraries()), str(runtime())]
