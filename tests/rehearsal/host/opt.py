"""Layers laid over one another as Lambda does below /opt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def composed(folder: Path, layers: Sequence[Path]) -> Path:
    """Make `folder` from `layers`, of which a later one wins; nothing is copied."""
    folder.mkdir(parents=True)
    for layer in layers:
        _lay(layer, folder)
    return folder


def _lay(layer: Path, onto: Path) -> None:
    """Link what is in `layer` into the folder `onto`; folders that both have are entered."""
    for entry in sorted(os.scandir(layer), key=lambda each: each.name):
        place = onto / entry.name
        if not place.exists():
            place.symlink_to(entry.path)
        elif entry.is_dir() and place.is_dir():
            _open(place)
            _lay(Path(entry.path), place)
        else:
            place.unlink()
            place.symlink_to(entry.path)


def _open(place: Path) -> None:
    """Turn a link to a folder into a folder of links."""
    if place.is_symlink():
        target = place.resolve()
        place.unlink()
        place.mkdir()
        _lay(target, place)
