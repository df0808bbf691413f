"""The GPU fleet as the template describes it."""

from __future__ import annotations

import re
from typing import Any

from tests.cdk import synth

from kira_cdk import fleet, layers


def _group(size: str = "dev") -> dict[str, Any]:
    (found,) = synth.resources("AWS::AutoScaling::AutoScalingGroup", size).values()
    properties: dict[str, Any] = found["Properties"]
    return properties


def _template() -> dict[str, Any]:
    (found,) = synth.resources("AWS::EC2::LaunchTemplate").values()
    data: dict[str, Any] = found["Properties"]["LaunchTemplateData"]
    return data


def _user_data() -> str:
    joined = _template()["UserData"]["Fn::Base64"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else "<token>" for part in joined)


def test_g6_first_then_what_else_there_is_and_spot_above_the_base() -> None:
    mixed = _group()["MixedInstancesPolicy"]
    assert [each["InstanceType"] for each in mixed["LaunchTemplate"]["Overrides"]] == [
        "g6.xlarge", "g6.2xlarge", "g5.xlarge",
    ]  # fmt: skip
    assert mixed["InstancesDistribution"] == {
        "OnDemandAllocationStrategy": "prioritized",
        "OnDemandBaseCapacity": 1,
        "OnDemandPercentageAboveBaseCapacity": 0,
        "SpotAllocationStrategy": "price-capacity-optimized",
    }
    assert _group()["CapacityRebalance"]
    assert (_group()["MinSize"], _group()["MaxSize"]) == ("0", "1")
    assert (_group("large")["MinSize"], _group("large")["MaxSize"]) == ("1", "8")


def test_a_busy_instance_is_not_taken_and_one_that_goes_may_finish() -> None:
    assert _group()["NewInstancesProtectedFromScaleIn"]
    (hook,) = synth.resources("AWS::AutoScaling::LifecycleHook").values()
    assert hook["Properties"]["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["Properties"]["LifecycleHookName"] == fleet.HOOK
    assert hook["Properties"]["HeartbeatTimeout"] == fleet.DRAIN_SECONDS


def test_an_instance_has_no_door_and_tells_itself_only_with_a_token() -> None:
    data = _template()
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert "KeyName" not in data
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]
    parameters = synth.templates()["kira-fleet"]["Parameters"]
    assert fleet.IMAGE in {each.get("Default") for each in parameters.values()}


def test_user_data_is_the_script_of_the_repository_behind_its_parameters() -> None:
    script = fleet.SCRIPT.read_text()
    told = _user_data()
    head, _, rest = told.partition("\nEND\n")
    assert rest == script.removeprefix("#!/bin/bash\n")
    names = re.findall(r"^(KIRA_[A-Z_]+)=", head, re.MULTILINE)
    assert names == [
        "KIRA_REGION", "KIRA_DATABASE_HOST", "KIRA_DATABASE_NAME", "KIRA_DATABASE_SECRET", "KIRA_MASTER_KEY_SECRET",
        "KIRA_QUEUE", "KIRA_QUEUE_HOSTED", "KIRA_HOSTED_MODELS", "KIRA_STREAM", "KIRA_FLEET", "KIRA_MODELS",
        "KIRA_WEIGHTS", "KIRA_OLLAMA_VERSION", "KIRA_WHEEL", "KIRA_LIFECYCLE_HOOK",
    ]  # fmt: skip
    assert len(told.encode()) < fleet.USER_DATA_BYTES_MAX


def test_what_is_sent_to_the_fleet_is_the_kira_of_this_checkout() -> None:
    built = layers.bundle()
    (sent,) = [path for suffix in ("whl", "zip") for path in synth.folder().glob(f"asset.*.{suffix}")]
    assert sent.read_bytes() == built.read_bytes()


def test_the_first_instance_starts_on_a_waiting_run_and_more_on_taken_slots() -> None:
    policies = [each["Properties"] for each in synth.resources("AWS::AutoScaling::ScalingPolicy").values()]
    (tracking,) = [each for each in policies if each["PolicyType"] == "TargetTrackingScaling"]
    wanted = tracking["TargetTrackingConfiguration"]
    assert wanted["TargetValue"] == 70
    assert wanted["CustomizedMetricSpecification"] == {
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "kira-fleet"}],
        "MetricName": "SlotUtilisation",
        "Namespace": "Kira",
        "Statistic": "Average",
    }
    (step,) = [each for each in policies if each["PolicyType"] == "StepScaling"]
    assert step["AdjustmentType"] == "ChangeInCapacity"
    assert step["StepAdjustments"] == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    alarms = [each["Properties"] for each in synth.resources("AWS::CloudWatch::Alarm").values()]
    (wake,) = [
        each
        for each in alarms
        if any(metric.get("Expression", "").startswith("IF(FILL(desired") for metric in each.get("Metrics", ()))
    ]
    assert wake["TreatMissingData"] == "notBreaching"
