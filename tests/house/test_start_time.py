"""Starting Kira loads few modules, and none that only a test, a terminal or a model server needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RECORD = Path(__file__).with_name("start_modules.txt")
"""How many modules beside Python's own a start loads; the number may only fall."""

LATER = frozenset(
    {
        "aiohttp",  # with the first model server
        "hypothesis",
        "obstore",  # with the first backup in S3
        "ollama",
        "pygments",
        "pynvml",  # with the first card
        "pytest",
        "rich",
        "sqlglot",
        "typer",
    }
)
SLACK = 40
"""Modules that other versions of Python or of a platform may leave out."""

ONLY_TESTS = "cryptography"
"""Comes with the S3 of the tests. PyJWT loads it where it is installed, which it is not where only Kira is."""

COUNT = f"import sys; sys.modules['{ONLY_TESTS}'] = None; import kira.local.server; print(*sorted(sys.modules))"


def _loaded() -> list[str]:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    names = set(done.stdout.split()) - {ONLY_TESTS}
    return [name for name in names if name.partition(".")[0] not in sys.stdlib_module_names]


def test_a_start_loads_few_modules() -> None:
    most = int(RECORD.read_text())
    loaded = len(_loaded())
    assert loaded <= most, f"{loaded} modules, {most} were enough before"
    assert loaded > most - SLACK, f"only {loaded} modules are loaded now: write that number into {RECORD.name}"


def test_a_start_loads_nothing_that_comes_later() -> None:
    roots = {name.partition(".")[0] for name in _loaded()}
    assert roots & LATER == set()
    assert "fastapi" in roots
