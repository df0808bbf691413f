"""What a Kira costs, from its templates."""

from __future__ import annotations

import pytest
from tests.cdk import synth
from tests.house.sources import ROOT

from kira_cdk import cost


def test_a_month_in_which_nobody_comes_costs_little() -> None:
    assert cost.total(cost.idle(synth.templates("dev"))) <= 10
    assert cost.total(cost.idle(synth.templates("small"))) <= 25


def test_nothing_of_the_gpus_is_in_it_and_they_are_told_apart() -> None:
    assert cost.total(cost.gpu(synth.templates("small"))) == 0
    assert cost.total(cost.gpu(synth.templates("large"))) == pytest.approx(599.15, abs=0.01)


def test_what_large_adds_is_counted() -> None:
    lines = {line.told: line.dollars for line in cost.idle(synth.templates("large"))}
    assert lines["RDS Proxy"] == pytest.approx(87.6)
    assert lines["Aurora awake"] == pytest.approx(2 * 87.6)  # the reader is as large as the writer
    assert lines["WAF"] == 7


def test_a_thousand_runs_follow_the_memory_of_the_template() -> None:
    templates = synth.templates()
    lines = {line.told: line.dollars for line in cost.thousand_runs(templates)}
    assert lines["Lambda, streams"] == pytest.approx(1000 * (25 * 0.25 * 0.0000133334 + 0.0000002))
    assert cost.total(cost.thousand_runs(templates)) < 1


def test_a_kind_without_a_price_is_refused() -> None:
    template = {"Resources": {"Search": {"Type": "AWS::OpenSearchServerless::Collection"}}}
    with pytest.raises(cost.UnknownPrice, match="OpenSearchServerless"):
        cost.idle({"new": template})


def test_an_interface_endpoint_is_refused() -> None:
    template = {
        "Resources": {"Door": {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Interface"}}}
    }
    with pytest.raises(cost.UnknownPrice, match=r"\$7\.30"):
        cost.idle({"new": template})


def test_a_math_alarm_costs_as_many_as_it_has_metrics() -> None:
    metrics = [{"Id": "a", "MetricStat": {}}, {"Id": "b", "MetricStat": {}}, {"Id": "e", "Expression": "a+b"}]
    template = {"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": metrics}}}}
    (alarms, _) = cost.idle({"new": template})
    assert alarms.dollars == pytest.approx(0.2)


def test_every_price_has_a_source() -> None:
    for name, each in cost.PRICES["prices"].items():
        assert each["price"] > 0, name
        assert each["unit"], name
        assert each["source"], name
    assert cost.PRICES["read"] == "2026-11-23"


def test_the_table_of_the_page_is_what_the_templates_cost() -> None:
    page = (ROOT / "docs" / "aws.md").read_text()
    sizes = [synth.templates(size) for size in ("dev", "small", "large")]
    for told, counted in (
        ("a month in which nobody comes", cost.idle),
        ("GPU instances that always run, a month", cost.gpu),
        ("1,000 runs, GPU included", cost.thousand_runs),
    ):
        row = " | ".join(f"${cost.total(counted(each)):.2f}" for each in sizes)
        assert f"| {told} | {row} |" in page
