"""A layer of libraries for another processor, with what was compiled replaced by the same library for this one."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from tests.rehearsal.host.runtime import distributions, layer_here

OTHER, HERE = "aarch64", platform.machine()
COMPILED = ".so"
BUNDLED = ".libs"
"""Folders of libraries that a wheel brings along, under names that are other for every processor."""


class Different(AssertionError):
    """The layer is not what the lock says."""


def for_here(layer: Path, folder: Path) -> Path:
    """Return `layer`, or where it holds libraries the same with what is compiled taken from locks/layer.txt here."""
    packages = layer / "python"
    here = layer_here() / "python"
    if surplus := distributions(packages) - distributions(here):
        raise Different(f"the layer has {sorted(surplus)}, and locks/layer.txt has not")
    if not any(packages.rglob(f"*{COMPILED}")):
        return layer
    made = folder / layer.name
    if not made.exists():
        fresh = folder / f"{layer.name}.fresh"
        shutil.copytree(layer, fresh, copy_function=os.link, ignore=_compiled)
        for each in packages.rglob(f"*{COMPILED}*"):
            _replace(each.relative_to(packages), here, fresh / "python")
        fresh.rename(made)
    return made


def _compiled(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if COMPILED in name]


def _replace(place: Path, here: Path, onto: Path) -> None:
    """Put what this computer has where the layer has it for the other processor."""
    if place.parent.suffix == BUNDLED:
        for each in (here / place.parent).iterdir():
            _link(each, onto / place.parent / each.name)
        return
    ours = place.with_name(place.name.replace(OTHER, HERE))
    if not (here / ours).exists():
        raise Different(f"the layer has {place}, which is not there for {HERE}")
    _link(here / ours, onto / ours)


def _link(source: Path, target: Path) -> None:
    if not target.exists():
        target.symlink_to(source)
