"""What moto's CloudFormation can make, asked of moto itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import moto.cloudformation.parsing  # noqa: F401 - it loads every service that can be made
from moto.core.common_models import CloudFormationModel
from tests.rehearsal.cloud.assembly import Assembly
from tests.rehearsal.cloud.filtering import attributes

LEFT_OUT = frozenset(
    {
        "AWS::EC2::Route",  # moto does not make the gateways that some of them lead to
        "AWS::Lambda::EventSourceMapping",  # moto would take messages off the queue and run the function in Docker
        "AWS::RDS::DBInstance",  # moto fails on an instance of Aurora
    }
)
"""What moto says it can make and must not."""
SILENT = frozenset({("AWS::EC2::VPC", "Ipv6CidrBlocks")})
"""What moto says it can tell and does not."""


def lacking(assembly: Assembly) -> tuple[set[str], set[tuple[str, str]]]:
    """Return types of the templates that moto cannot make, and attributes that it does not tell."""
    known = dict(_known())
    types = {resource["Type"] for stack in assembly.stacks for resource in stack.resources.values()}
    cannot = {name for name in types if name not in known or name in LEFT_OUT}
    asked = {
        (stack.resources[logical]["Type"], attribute)
        for stack in assembly.stacks
        for logical, attribute in attributes(stack.template)
    }
    told = {(name, each) for name, each in asked if name in known and known[name].has_cfn_attr(each)} - SILENT
    return cannot, {(name, each) for name, each in asked - told if name not in cannot}


def _known() -> Iterator[tuple[str, Any]]:
    def below(model: Any) -> Iterator[Any]:
        for each in model.__subclasses__():
            yield each
            yield from below(each)

    for model in below(CloudFormationModel):
        try:
            yield model.cloudformation_type(), model
        except NotImplementedError:
            continue
