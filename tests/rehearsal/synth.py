"""The stacks as the CDK synthesises them, once for every state of their sources."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.rehearsal.host.runtime import BUILD, ROOT

SCRIPT = """
import json, sys
sys.path.insert(0, "cdk")
from kira_cdk import config, stacks
stacks.build(stacks.app(sys.argv[1]), config.read(json.loads(sys.argv[2]))).synth()
"""
SOURCES = ("cdk", "cdk.json", "deploy", "functions", "layers/kira", "locks/layer.txt", "pyproject.toml")
NOT_SOURCES = frozenset({"__pycache__", "node_modules", "testing"})
KEPT = 3
"""How many states are kept."""


def synthesised(context: Mapping[str, Any]) -> Path:
    """Return the folder of the assembly for the configuration `context`; several processes may ask at once."""
    folder = BUILD / "rehearsal"
    folder.mkdir(parents=True, exist_ok=True)
    told = json.dumps(context, sort_keys=True)
    done = folder / f"cdk-{_digest(told)}"
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not done.exists():
            _forget(folder)
            fresh = folder / "fresh"
            shutil.rmtree(fresh, ignore_errors=True)
            _run(fresh, told)
            fresh.rename(done)
        done.touch()
    return done


def _run(target: Path, told: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    done = subprocess.run(
        [sys.executable, "-O", "-c", SCRIPT, str(target), told],
        cwd=ROOT,
        env=clean | {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _forget(folder: Path) -> None:
    old = sorted(folder.glob("cdk-*"), key=lambda each: each.stat().st_mtime)
    for each in old[: 1 - KEPT]:
        shutil.rmtree(each)


def _digest(told: str) -> str:
    total = hashlib.sha256(f"{sys.version}{told}".encode())
    for path in _files():
        total.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:20]


def _files() -> Iterator[Path]:
    for name in SOURCES:
        place = ROOT / name
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (each for each in files if each.is_file() and not NOT_SOURCES & set(each.parts))
