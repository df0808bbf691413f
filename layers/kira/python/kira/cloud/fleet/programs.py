"""Installs Ollama of the pinned version from the bucket, as its makers publish it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kira.cloud.fleet.store import NotReady, Store

SUMS = "sha256sum.txt"
ARCHIVES = ("ollama-linux-amd64.tgz", "ollama-linux-amd64.tar.zst")


def install_ollama(store: Store, version: str, to: Path) -> bool:
    """Unpack the archive of `version` into `to`, unless it is there; say whether that was needed. Raises NotReady."""
    mark = to / "version"
    if mark.is_file() and mark.read_text() == version:
        return False
    folder = f"ollama/{version}"
    sums = _sums(store.text(f"{folder}/{SUMS}") or "")
    name = next((each for each in ARCHIVES if each in sums), None)
    if name is None:
        raise NotReady(f"{folder}/{SUMS} in the bucket of weights names none of {', '.join(ARCHIVES)} (docs/fleet.md).")
    archive = to / name
    store.fetch(f"{folder}/{name}", archive, sums[name])
    done = subprocess.run(["tar", "-x", "-C", str(to), "-f", str(archive)], capture_output=True, text=True, check=False)
    archive.unlink()
    if done.returncode:
        raise NotReady(f"{name} cannot be unpacked: {done.stderr.strip()}")
    mark.write_text(version)
    return True


def _sums(text: str) -> dict[str, str]:
    """Read lines such as `3f2a...  ./ollama-linux-amd64.tgz`."""
    found = [line.split() for line in text.splitlines()]
    return {each[1].lstrip("*").removeprefix("./"): each[0] for each in found if len(each) == 2}
