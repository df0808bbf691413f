"""Somebody hears when Kira is slow, broken, full, or expensive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cdk import synth

from kira_cdk.config import SIZES


def _statements(size: str) -> list[dict[str, Any]]:
    (policy,) = synth.resources("AWS::SNS::TopicPolicy", size).values()
    found: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    return found


@pytest.mark.parametrize("size", SIZES)
def test_every_alarm_does_something_and_says_what_it_means(size: str) -> None:
    alarms = [each["Properties"] for each in synth.resources("AWS::CloudWatch::Alarm", size).values()]
    assert len(alarms) == 10
    for alarm in alarms:
        assert alarm["AlarmActions"]
        assert alarm["AlarmDescription"].startswith("Kira: ")
        assert alarm["TreatMissingData"] == "notBreaching"  # nobody there is no fault


def test_the_services_that_tell_may_tell() -> None:
    """A policy of one's own replaces the one with which every topic begins."""
    (allowed,) = [each["Principal"]["Service"] for each in _statements("dev") if each["Effect"] == "Allow"]
    assert set(allowed) == {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    for each in _statements("dev"):
        if each["Effect"] == "Allow":
            assert each["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize("size", SIZES)
def test_a_month_has_a_budget_that_speaks_before_it_is_spent(size: str) -> None:
    (budget,) = (each["Properties"] for each in synth.resources("AWS::Budgets::Budget", size).values())
    assert budget["Budget"]["BudgetLimit"] == {"Amount": SIZES[size].budget, "Unit": "USD"}
    said = [each["Notification"] for each in budget["NotificationsWithSubscribers"]]
    assert {(each["NotificationType"], each["Threshold"]) for each in said} == {
        ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100),
    }  # fmt: skip


def test_the_board_answers_four_questions() -> None:
    (board,) = synth.resources("AWS::CloudWatch::Dashboard", "small").values()
    body = json.dumps(board)
    for word in ("Slow?", "Broken?", "Full?", "Expensive?"):
        assert word in body
    assert not synth.resources("AWS::CloudWatch::Dashboard")  # $3 a month
