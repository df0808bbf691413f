"""Reduces a template to what moto can make, with true values in the place of what it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.rehearsal.cloud.assembly import Stack, Template
from tests.rehearsal.cloud.lacks import Lacks
from tests.rehearsal.cloud.resolve import REF, Values

IMAGE = "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
AN_IMAGE = "ami-12c6146b"
REFUSED = {"AWS::KMS::Key": "Tags", "AWS::EC2::Subnet": "Ipv6CidrBlock"}
"""moto 5.2 fails on the tags of a key and knows no `Fn::Cidr`."""
TELL_ARN = frozenset(
    {
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Lambda::Function",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
    }
)


@dataclass
class Filtered:
    """What is deployed of a stack, and under which outputs it will tell which attributes."""

    template: Template
    dropped: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, tuple[str, str]] = field(default_factory=dict)


def reduced(stack: Stack, lacks: Lacks, values: Values) -> Filtered:
    """Return what moto can make of `stack`; `values` must know all that it cannot."""
    types = {logical: resource["Type"] for logical, resource in stack.resources.items()}
    dropped = {logical: name for logical, name in types.items() if lacks.has_type(name)}
    replacing = _Replacing(stack, values, dropped, _lacking(stack, types, dropped, lacks))
    kept = {logical: resource for logical, resource in stack.resources.items() if logical not in dropped}
    template = {
        **stack.template,
        "Resources": {logical: _pruned(replacing.walk(each), dropped) for logical, each in kept.items()},
    }
    template["Parameters"] = {name: _parameter(each) for name, each in stack.template.get("Parameters", {}).items()}
    outputs = {f"Told{number}": each for number, each in enumerate(sorted(_telling(stack, types, dropped, lacks)))}
    told = {name: {"Value": {"Fn::GetAtt": list(each)}} for name, each in outputs.items()}
    template["Outputs"] = {**replacing.walk(stack.template.get("Outputs", {})), **told}
    return Filtered(template, dropped, outputs)


def attributes(node: Any) -> Iterator[tuple[str, str]]:
    """Yield logical id and attribute of every GetAtt below `node`."""
    if isinstance(node, list):
        for each in node:
            yield from attributes(each)
    elif isinstance(node, dict):
        if (found := node.get("Fn::GetAtt")) is not None:
            logical, _, name = (found if isinstance(found, str) else ".".join(found)).partition(".")
            yield logical, name
        if (text := node.get("Fn::Sub")) is not None:
            for name in re.findall(r"\$\{([^}!]+)\}", text if isinstance(text, str) else text[0]):
                if "." in name and not name.startswith("AWS::"):
                    yield name.partition(".")[0], name.partition(".")[2]
        for each in node.values():
            yield from attributes(each)


def _lacking(stack: Stack, types: dict[str, str], dropped: dict[str, str], lacks: Lacks) -> set[tuple[str, str]]:
    """Return attributes of what is made that moto does not tell."""
    return {
        (logical, name)
        for logical, name in attributes(stack.template)
        if logical not in dropped and lacks.has_attribute(types[logical], name)
    }


def _telling(stack: Stack, types: dict[str, str], dropped: dict[str, str], lacks: Lacks) -> set[tuple[str, str]]:
    asked = {(logical, name) for logical, name in attributes(stack.template) if logical not in dropped}
    asked |= {(logical, "Arn") for logical, name in types.items() if name in TELL_ARN}
    return {(logical, name) for logical, name in asked if not lacks.has_attribute(types[logical], name)}


def _pruned(resource: dict[str, Any], dropped: dict[str, str]) -> dict[str, Any]:
    """Drop what moto fails on, and the order that names what is not made."""
    needs = resource.pop("DependsOn", [])
    left = [each for each in ([needs] if isinstance(needs, str) else needs) if each not in dropped]
    if left:
        resource["DependsOn"] = left
    if resource["Type"] in REFUSED:
        resource["Properties"].pop(REFUSED[resource["Type"]], None)
    return resource


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "String", "Default": AN_IMAGE} if parameter["Type"] == IMAGE else parameter


@dataclass(frozen=True)
class _Replacing:
    """Puts values in the place of what names a resource that is left out."""

    stack: Stack
    values: Values
    dropped: dict[str, str]
    lacking: set[tuple[str, str]]

    def walk(self, node: Any) -> Any:
        """Return a copy of `node` in which nothing names what is left out."""
        if isinstance(node, list):
            return [self.walk(each) for each in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            if node.get("Ref") in self.dropped:
                return self.values.told[(self.stack.name, node["Ref"]), REF]
            if "Fn::GetAtt" in node:
                ((logical, name),) = attributes(node)
                if logical in self.dropped or (logical, name) in self.lacking:
                    return self.values.told[(self.stack.name, logical), name]
            if "Fn::Sub" in node:
                return self._sub(node["Fn::Sub"])
        return {key: self.walk(value) for key, value in node.items()}

    def _sub(self, argument: str | list[Any]) -> dict[str, Any]:
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], self.walk(argument[1]))

        def value(found: re.Match[str]) -> str:
            logical, _, name = found[1].partition(".")
            if logical in self.dropped and logical not in own:
                return str(self.values.told[(self.stack.name, logical), name or REF])
            return found[0]

        changed = re.sub(r"\$\{([^}!]+)\}", value, text)
        return {"Fn::Sub": [changed, own] if own else changed}
