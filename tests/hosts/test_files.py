"""What the files of deploy/ say fits together, and with what Kira knows."""

from __future__ import annotations

import re

import pytest
from tests.hosts import files

from kira.domain.limits import BODY_BYTES_MAX, UNREADY_SECONDS
from kira.local.settings import LocalSettings, read

UNITS = ("kira.service", "kira-worker.service")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_stops_no_answer_and_gives_nothing_away(name: str) -> None:
    unit = files.unit(name)
    grace = float(files.settings()["KIRA_GRACE_S"])
    assert int(unit["TimeoutStopSec"]) > grace + UNREADY_SECONDS
    assert (unit["Restart"], unit["DynamicUser"], unit["NoNewPrivileges"]) == ("always", "yes", "yes")
    assert (unit["ProtectSystem"], unit["CapabilityBoundingSet"]) == ("strict", "")
    assert unit["Environment"] == f"KIRA_DATA=/var/lib/{unit['StateDirectory']}"


def test_every_setting_of_the_example_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in files.settings().items():
        assert name.removeprefix("KIRA_").lower() in LocalSettings.model_fields
        monkeypatch.setenv(name, value)
    assert read().proxies == "10.0.0.2"


def test_proxies_carry_what_kira_takes_and_little_more() -> None:
    caddy = re.search(r"max_size (\d+)MB", (files.DEPLOY / "Caddyfile").read_text())
    nginx = re.search(r"client_max_body_size (\d+)m", (files.DEPLOY / "nginx.conf").read_text())
    for found in (caddy, nginx):
        assert found is not None
        assert BODY_BYTES_MAX < int(found[1]) * 1_000_000 <= 2 * BODY_BYTES_MAX


def test_every_file_is_told_of() -> None:
    told = (files.DEPLOY / "README.md").read_text()
    assert {path.name for path in files.DEPLOY.iterdir()} - {"README.md", "fleet"} == set(
        re.findall(r"^\| `(.+?)` \|", told, re.M)
    )
