"""What moto cannot make is written down, no more and no less."""

from __future__ import annotations

from tests.rehearsal.cloud.known import lacking
from tests.rehearsal.cloud.lacks import lacks
from tests.rehearsal.rig import Rehearsal


def test_the_list_is_what_moto_lacks_of_the_templates(healthy: Rehearsal) -> None:
    types, attributes = lacking(healthy.deployed.assembly)
    assert lacks().types == types
    assert lacks().attributes == attributes


def test_the_list_is_what_was_left_out(healthy: Rehearsal) -> None:
    left_out = {name for dropped in healthy.deployed.dropped.values() for name in dropped.values()}
    assert left_out == lacks().types


def test_everything_else_was_made(healthy: Rehearsal) -> None:
    client = healthy.moto.client("cloudformation")
    for stack in healthy.deployed.assembly.stacks:
        made = {
            each["LogicalResourceId"]
            for each in client.describe_stack_resources(StackName=stack.name)["StackResources"]
        }
        assert made == stack.resources.keys() - healthy.deployed.dropped[stack.name].keys()
