"""The files of deploy/ as the tests run them: the same text, with addresses, ports and folders of the test."""

from __future__ import annotations

import configparser
import shlex
import shutil
from pathlib import Path

import pytest
from tests.local.rig import KIRA

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
INSTALLED = "/opt/kira/.venv/bin/kira"


def tool(name: str) -> str:
    """Return where the program `name` is; without it the test cannot say anything."""
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/bin")
    if found is None:
        pytest.fail(f"{name} is missing: install it (Debian: apt-get install {name}) and run the test again.")
    return found


def text_of(name: str, **changes: str) -> str:
    """Return a file of deploy/ in which each of `changes` was made; a key that is not there fails the test."""
    text = (DEPLOY / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def unit(name: str) -> configparser.SectionProxy:
    """Return the section `Service` of a systemd unit."""
    read = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    read.optionxform = str  # type: ignore[method-assign,assignment]
    read.read_string((DEPLOY / name).read_text())
    return read["Service"]


def command_of(name: str) -> list[str]:
    """Return the command that a unit starts."""
    first, *more = shlex.split(unit(name)["ExecStart"])
    assert first == INSTALLED
    return [KIRA, *more]


def settings() -> dict[str, str]:
    """Return what kira.env sets."""
    lines = (line for line in (DEPLOY / "kira.env").read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
