"""What is installed is locked by hashes, and no lock says from where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.house.sources import ROOT

LOCKS = sorted((ROOT / "locks").glob("*.txt"))
NAMED = re.compile(r"^[\w.-]+(\[[\w,-]+\])?==\S+", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_library_of_python_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    libraries = re.split(r"\n(?=\S)", text.strip())
    assert len(libraries) > 1
    assert [each for each in libraries if not NAMED.match(each) or "--hash=sha256:" not in each] == []
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)


def test_every_library_of_the_dashboard_has_a_hash_and_no_address() -> None:
    packages = json.loads((ROOT / "frontend" / "package-lock.json").read_text())["packages"]
    libraries = {name: each for name, each in packages.items() if name}
    assert len(libraries) > 10
    assert [name for name, each in libraries.items() if not each["integrity"].startswith("sha512-")] == []
    assert [name for name, each in libraries.items() if "resolved" in each] == []
