"""The folders that stand for Lambda's managed runtime and for the layer of libraries: installed once, from locks."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build"
CLIENT = frozenset({"awslambdaric", "simplejson", "snapshot-restore-py"})
SDK = frozenset({"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"})
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Runtime:
    """A managed runtime: `bin` has its `python`, `packages` stands for /var/runtime."""

    bin: Path
    packages: Path

    @property
    def python(self) -> Path:
        """The interpreter, which sees nothing but its standard library and what the environment names."""
        return self.bin / "python"


def managed_runtime() -> Runtime:
    """Return the runtime, installed from the hashes of locks/dev.txt."""
    lock = _requirements(ROOT / "locks" / "dev.txt", CLIENT | SDK)
    folder = _installed("runtime", lock, "var-runtime")
    return Runtime(_interpreter(folder), folder / "var-runtime")


def layer_here() -> Path:
    """Return the layer of libraries for this computer's processor, laid out as /opt; the asset has the same lock."""
    return _installed("layer-here", (ROOT / "locks" / "layer.txt").read_text(), "python")


def distributions(folder: Path) -> set[tuple[str, str]]:
    """Return the names and versions of what is installed in `folder`."""
    return {
        (re.sub(r"[-_.]+", "-", found[1]).lower(), found[2])
        for each in folder.glob("*.dist-info")
        if (found := re.fullmatch(r"(.+)-([^-]+)\.dist-info", each.name))
    }


def _requirements(lock: Path, names: Set[str]) -> str:
    """Return the lines of `lock` about `names`, with their hashes."""
    entries = re.split(r"\n(?=\S)", lock.read_text())
    return "\n".join(each for each in entries if re.split(r"[=\s\[]", each, maxsplit=1)[0] in names) + "\n"


def _installed(name: str, lock: str, within: str) -> Path:
    """Install `lock` into build/`name`/`within` unless that was done; several processes may ask at once."""
    folder = BUILD / name
    BUILD.mkdir(exist_ok=True)
    mark = hashlib.sha256(f"{sys.version}\n{within} 2\n{lock}".encode()).hexdigest()
    with (BUILD / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stamp = folder / ".stamp"
        if not stamp.exists() or stamp.read_text() != mark:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "lock.txt").write_text(lock)
            _install(folder / "lock.txt", folder / within)
            stamp.write_text(mark)
    return folder


def _install(lock: Path, target: Path) -> None:
    command: list[str | Path] = [
        Path(sys.executable).with_name("uv"),
        "pip",
        "install",
        "-q",
        "--python",
        sys.executable,
        "--no-deps",
    ]
    # The same Python as for the other processor: a lock asks even for its patch version.
    command += [
        "--python-version",
        PYTHON,
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--link-mode",
        "copy",
        "--target",
        target,
        "-r",
        lock,
    ]
    subprocess.run(command, check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", target], check=False)


def _interpreter(folder: Path) -> Path:
    """Make what stands for /var/lang/bin: a `python` that knows no site-packages."""
    place = folder / "bin"
    script = f'#!/bin/sh\nexec {sys.executable} -S -s -P -B "$@"\n'
    if not (place / "python").exists():
        place.mkdir(exist_ok=True)
        for name in ("python", "python3", f"python{PYTHON}"):
            new = place / f".{name}"
            new.write_text(script)
            new.chmod(0o755)
            new.rename(place / name)
    return place
