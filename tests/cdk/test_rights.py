"""Least privilege: what a role may do is what the table says its function touches, and not a call more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.cdk import synth

from kira_cdk.config import DEV, LARGE, SMALL, Config
from kira_cdk.functions import BY_NAME, FUNCTIONS, Function
from kira_cdk.ports import PORTS

# For these AWS knows no smaller place than everything.
ANYWHERE = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
BY_SIZE = {config.size: config for config in (DEV, SMALL, LARGE)}


def _statements(name: str, size: str = "dev") -> list[dict[str, Any]]:
    """Return every statement that counts for the role of a function."""
    api = synth.templates(size)["kira-api"]["Resources"]
    role = synth.function(name, size)["Role"]["Fn::GetAtt"][0]
    assert "ManagedPolicyArns" not in api[role]["Properties"]
    assert "Policies" not in api[role]["Properties"]
    policies = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for each in api.values()
        if each["Type"] == "AWS::IAM::Policy" and {"Ref": role} in each["Properties"]["Roles"]
    ]
    return [statement for policy in policies for statement in policy]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _wanted(table: Function, config: Config) -> set[str]:
    return {action for port in table.ports(config) for grant in port.grants for action in grant.actions}


@pytest.mark.parametrize("size", BY_SIZE)
@pytest.mark.parametrize("name", BY_NAME)
def test_a_function_may_do_what_its_ports_need_and_nothing_else(name: str, size: str) -> None:
    statements = _statements(name, size)
    assert {each["Effect"] for each in statements} == {"Allow"}
    may = {action for each in statements for action in _listed(each["Action"])}
    assert may == _wanted(BY_NAME[name], BY_SIZE[size])


@pytest.mark.parametrize("name", BY_NAME)
def test_a_function_is_told_what_its_ports_read_and_nothing_else(name: str) -> None:
    variables = synth.function(name)["Environment"]["Variables"]
    wanted = {variable for port in BY_NAME[name].ports(DEV) for variable in port.environment}
    adapters = {variable for variable in variables if variable.startswith(("AWS_LWA_", "AWS_LAMBDA_"))}
    assert set(variables) - adapters == wanted
    assert (adapters != set()) == (name == "stream")


def test_only_what_has_no_smaller_place_is_allowed_everywhere() -> None:
    for name in BY_NAME:
        for each in _statements(name):
            if "*" in _listed(each["Resource"]):
                assert set(_listed(each["Action"])) <= ANYWHERE, (name, each)


def test_every_port_is_used_and_no_action_is_a_pattern() -> None:
    replaced = {"database_by_iam"}  # stands in for `database`
    assert {touched for table in FUNCTIONS for touched in table.touches} == set(PORTS) - replaced
    actions = {action for port in PORTS.values() for grant in port.grants for action in grant.actions}
    assert not [action for action in actions if "*" in action]


def test_only_the_schema_has_the_owner_of_the_database() -> None:
    holders = [
        name for name in BY_NAME if "KIRA_DATABASE_OWNER_SECRET" in synth.function(name)["Environment"]["Variables"]
    ]
    assert holders == ["migrate"]


def test_a_sealed_secret_needs_the_user_it_belongs_to() -> None:
    for name in ("auth", "agent"):
        (sealed,) = [each for each in _statements(name) if "kms:Decrypt" in _listed(each["Action"])]
        assert sealed["Condition"] == {"Null": {"kms:EncryptionContext:user": "false"}}
    keys = [each["Properties"] for each in synth.resources("AWS::KMS::Key").values()]
    (sealing,) = [key for key in keys if "context" in key["Description"]]
    (denied,) = [each for each in sealing["KeyPolicy"]["Statement"] if each["Effect"] == "Deny"]
    assert denied["Condition"] == {"Null": {"kms:EncryptionContext:user": "true"}}
    assert "kms:Decrypt" in denied["Action"]


def test_the_role_of_users_reaches_one_prefix_and_only_with_a_tag() -> None:
    api = synth.templates()["kira-api"]["Resources"]
    (name, role) = next(
        (name, each)
        for name, each in api.items()
        if each["Type"] == "AWS::IAM::Role" and "own objects" in each["Properties"].get("Description", "")
    )
    (policy,) = [
        each
        for each in api.values()
        if each["Type"] == "AWS::IAM::Policy" and {"Ref": name} in each["Properties"]["Roles"]
    ]
    objects, listing = policy["Properties"]["PolicyDocument"]["Statement"]
    assert "/users/${aws:PrincipalTag/user}/*" in json.dumps(objects["Resource"])
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "users/${aws:PrincipalTag/user}/*"}}
    trusted = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    for each in trusted:
        assert each["Condition"] == {"StringLike": {"aws:RequestTag/user": "?*"}}
    principals = [name for each in trusted for name in _listed(each["Principal"]["AWS"])]
    users = [synth.function(table.name)["Role"] for table in FUNCTIONS if "objects" in table.touches]
    assert sorted(map(str, principals)) == sorted(map(str, users))


def test_the_clock_is_woken_by_this_account_only() -> None:
    api = synth.templates()["kira-api"]["Resources"]
    (role,) = [each for each in api.values() if "wakes the clock" in each.get("Properties", {}).get("Description", "")]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_without_a_password_a_function_signs_in_by_iam() -> None:
    config = replace(DEV, database_sign_in="iam")
    assert "rds-db:connect" in _wanted(BY_NAME["chat"], config)
    assert "rds-db:connect" not in _wanted(BY_NAME["chat"], DEV)
