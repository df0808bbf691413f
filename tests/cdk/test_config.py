"""One typed configuration: what cannot work is refused with a sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kira_cdk.config import DEV, LARGE, SIZES, WrongConfiguration, read


def test_nothing_said_is_dev() -> None:
    assert read(None) == read({}) == DEV


def test_a_size_and_what_differs_from_it() -> None:
    config = read({"size": "large", "budget": 900, "fleet": {"most": 3, "models": ["qwen3:8b"]}})
    assert (config.budget, config.fleet.most, config.fleet.models) == (900, 3, ("qwen3:8b",))
    assert config.fleet.least == LARGE.fleet.least


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"size": "huge"}, "dev, small, large"),
        ({"databse_floor": 1}, "databse_floor is no setting"),
        ({"fleet": {"leest": 1}}, "fleet.leest is no setting"),
        ({"database_proxy": True}, "keeps the database awake"),
        ({"domain": "kira.example.org"}, "set together"),
        ({"domain": "a.example.org", "certificate": "arn:aws:acm:eu-west-1:1:certificate/x"}, "us-east-1"),
        ({"hosted": "https://api.example.org/v1"}, "set together"),
        ({"database_sign_in": "none"}, '"secret" or "iam"'),
        ({"fleet": {"least": 2, "most": 1}}, "above fleet.most"),
        ({"database_ceiling": 0.5}, "at least 1"),
        ({"log_days": 31}, "log_days is one of"),
        ({"backup_days": 0}, "backup_days is from 1 to 35"),
        ({"name": "a b"}, "letters, digits and hyphens"),
    ],
)
def test_what_cannot_work_is_refused(said: dict[str, Any], told: str) -> None:
    with pytest.raises(WrongConfiguration, match=told):
        read(said)


def test_a_proxy_and_a_sleeping_database_exclude_each_other_in_every_size() -> None:
    for config in SIZES.values():
        assert not config.database_proxy or config.database_floor >= 0.5
        with pytest.raises(WrongConfiguration):
            replace(config, database_proxy=True, database_floor=0)
