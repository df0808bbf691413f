"""What must not be lost cannot be lost by a deploy, nothing idles at a price, and nothing lies open."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cdk import synth

from kira_cdk.config import SIZES
from kira_cdk.functions import BY_NAME
from kira_cdk.queue import HOSTED_VISIBILITY_SECONDS

KEPT = ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")


def _cluster(size: str) -> dict[str, Any]:
    (found,) = synth.resources("AWS::RDS::DBCluster", size).values()
    return found


@pytest.mark.parametrize("size", ["dev", "small"])
def test_nothing_idles_at_a_price(size: str) -> None:
    for kind in ("AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::RDS::DBProxy"):
        assert not synth.resources(kind, size)
    endpoints = [each["Properties"] for each in synth.resources("AWS::EC2::VPCEndpoint", size).values()]
    assert [each.get("VpcEndpointType") for each in endpoints] == ["Gateway"]
    assert _cluster(size)["Properties"]["ServerlessV2ScalingConfiguration"]["MinCapacity"] == 0
    (group,) = synth.resources("AWS::AutoScaling::AutoScalingGroup", size).values()
    assert group["Properties"]["MinSize"] == "0"


def test_functions_reach_aws_over_ipv6_without_a_gateway_that_costs() -> None:
    assert synth.resources("AWS::EC2::EgressOnlyInternetGateway")
    routes = [each["Properties"] for each in synth.resources("AWS::EC2::Route").values()]
    assert [
        each
        for each in routes
        if each.get("DestinationIpv6CidrBlock") == "::/0" and "EgressOnlyInternetGatewayId" in each
    ]
    for name in BY_NAME:
        assert synth.function(name)["VpcConfig"]["Ipv6AllowedForDualStack"]
        assert synth.function(name)["Environment"]["Variables"]["AWS_USE_DUALSTACK_ENDPOINT"] == "true"


@pytest.mark.parametrize("size", SIZES)
def test_the_database_is_kept_encrypted_and_speaks_only_tls(size: str) -> None:
    cluster = _cluster(size)
    properties = cluster["Properties"]
    assert cluster["DeletionPolicy"] == cluster["UpdateReplacePolicy"] == "Snapshot"
    assert properties["DeletionProtection"]
    assert properties["StorageEncrypted"]
    assert properties["EnableIAMDatabaseAuthentication"]
    assert properties["BackupRetentionPeriod"] == SIZES[size].backup_days
    (parameters,) = synth.resources("AWS::RDS::DBClusterParameterGroup", size).values()
    # Nothing is logged of a statement: its values are what people wrote.
    assert parameters["Properties"]["Parameters"] == {"rds.force_ssl": "1"}
    for instance in synth.resources("AWS::RDS::DBInstance", size).values():
        assert not instance["Properties"]["PubliclyAccessible"]


def test_a_database_that_nobody_uses_sleeps() -> None:
    scaling = _cluster("dev")["Properties"]["ServerlessV2ScalingConfiguration"]
    assert scaling == {"MaxCapacity": 2, "MinCapacity": 0, "SecondsUntilAutoPause": 600}


def test_a_large_one_has_a_proxy_and_therefore_a_floor() -> None:
    assert len(synth.resources("AWS::RDS::DBProxy", "large")) == 1
    assert _cluster("large")["Properties"]["ServerlessV2ScalingConfiguration"]["MinCapacity"] >= 0.5
    host = synth.function("chat", "large")["Environment"]["Variables"]["KIRA_DATABASE_HOST"]
    assert "Proxy" in json.dumps(host)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KEPT)
def test_data_stays_when_its_stack_goes(kind: str, size: str) -> None:
    found = synth.resources(kind, size)
    assert found
    assert {name for name, each in found.items() if each.get("DeletionPolicy") != "Retain"} == set()


def test_only_functions_and_fleet_reach_the_database() -> None:
    rules = [each["Properties"] for each in synth.resources("AWS::EC2::SecurityGroupIngress").values()]
    assert len(rules) == 2
    assert {(rule["FromPort"], rule["ToPort"]) for rule in rules} == {(5432, 5432)}
    for group in synth.resources("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group["Properties"]


@pytest.mark.parametrize("size", SIZES)
def test_queues_are_closed_and_keep_what_was_never_done(size: str) -> None:
    queues = [each["Properties"] for each in synth.resources("AWS::SQS::Queue", size).values()]
    assert len(queues) == 4
    assert all(queue["SqsManagedSseEnabled"] for queue in queues)
    working = [queue for queue in queues if "RedrivePolicy" in queue]
    assert {queue["VisibilityTimeout"] for queue in working} == {120, HOSTED_VISIBILITY_SECONDS}
    assert {queue["ReceiveMessageWaitTimeSeconds"] for queue in working} == {20}
    assert {queue["RedrivePolicy"]["maxReceiveCount"] for queue in working} == {5}
    assert len(synth.resources("AWS::SQS::QueuePolicy", size)) == 4  # TLS or nothing


def test_the_agent_says_which_of_its_messages_failed() -> None:
    (mapping,) = synth.resources("AWS::Lambda::EventSourceMapping").values()
    assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["Properties"]["BatchSize"] == 1
    (other,) = synth.resources("AWS::Lambda::EventSourceMapping", "other").values()
    enabled = [each["Properties"]["Enabled"] for each in (mapping, other)]
    assert enabled == [False, True], "without hosted models there is nothing to ask for"


@pytest.mark.parametrize("size", SIZES)
def test_logs_are_structured_and_forgotten(size: str) -> None:
    for group in synth.resources("AWS::Logs::LogGroup", size).values():
        assert group["Properties"]["RetentionInDays"] == SIZES[size].log_days
    for name in BY_NAME:
        assert synth.function(name, size)["LoggingConfig"]["LogFormat"] == "JSON"
        assert synth.function(name, size)["TracingConfig"] == {"Mode": "Active"}


def test_the_schema_is_there_before_any_function_of_a_version() -> None:
    api = synth.templates()["kira-api"]["Resources"]
    (trigger,) = [name for name, each in api.items() if each["Type"] == "Custom::Trigger"]
    assert api[trigger]["Properties"]["InvocationType"] == "RequestResponse"
    for each in api.values():
        name = each.get("Properties", {}).get("FunctionName", "")
        if each["Type"] == "AWS::Lambda::Function" and name and name != "kira-migrate":
            assert trigger in each["DependsOn"], name


def test_functions_of_small_cannot_take_all_connections_or_all_money() -> None:
    for name, table in BY_NAME.items():
        assert synth.function(name, "small")["ReservedConcurrentExecutions"] == table.reserved
        assert "ReservedConcurrentExecutions" not in synth.function(name)  # a new account has ten in all
