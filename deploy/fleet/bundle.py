"""Makes the zip that an instance of the fleet installs Kira from: `.venv/bin/python deploy/fleet/bundle.py fleet.zip`.

It holds Kira's wheel, the wheels of everything in the lock with their sums, the units, and the authorities that vouch
for the database, where they are given. The instance asks no registry.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNITS = ("ollama.service", "kira-worker.service", "kira-health.service", "kira-health.timer")
MOMENT = (2020, 1, 1, 0, 0, 0)
"""Of every file, so that the same sources give the same zip and nothing is installed twice."""


def bundle(target: Path, requirements: Path, libraries: Path, authorities: Path | None = None) -> None:
    """Write `target` from the lock `requirements` and the folder of wheels `libraries`."""
    with tempfile.TemporaryDirectory() as made:
        wheels = Path(made)
        _run("hatchling", "build", "-t", "wheel", "-d", made)
        files = {f"units/{name}": Path(__file__).with_name(name) for name in UNITS}
        files |= {path.name: path for path in wheels.glob("*.whl")}
        files |= {f"libraries/{path.name}": path for path in libraries.glob("*.whl")}
        files["requirements.txt"] = requirements
        if authorities is not None:
            files["database-ca.pem"] = authorities
        with zipfile.ZipFile(target, "w") as written:
            for name, path in sorted(files.items()):
                written.writestr(zipfile.ZipInfo(name, MOMENT), path.read_bytes())


def download(requirements: Path, python: str, to: Path) -> None:
    """Fetch the wheels of a lock for the instances' Python and system."""
    platform = ("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64", "--only-binary", ":all:")
    what = ("--no-deps", "--require-hashes", "-r", str(requirements), "-d", str(to))
    _run("pip", "download", "-q", "--python-version", python, *platform, *what)


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=True, stdout=sys.stderr)


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description="Make the zip that an instance of the fleet installs Kira from.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--lock", type=Path, default=ROOT / "locks" / "fleet.txt")
    parser.add_argument("--python", default="3.11", help="version of the instances' Python")
    parser.add_argument("--libraries", type=Path, help="folder of wheels; default: they are downloaded")
    parser.add_argument("--authorities", type=Path, help="certificates that vouch for the database, as PEM")
    asked = parser.parse_args()
    folder = asked.libraries or Path(tempfile.mkdtemp())
    try:
        if asked.libraries is None:
            download(asked.lock, asked.python, folder)
        bundle(asked.target, asked.lock, folder, asked.authorities)
    finally:
        if asked.libraries is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
