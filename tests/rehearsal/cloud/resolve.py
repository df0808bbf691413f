"""Values of a template after it is deployed: what moto made, and what stands in for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.rehearsal.cloud.assembly import Stack
from tests.rehearsal.host.spec import ACCOUNT, REGION

REF = None
"""The attribute that `Ref` asks for."""
Place = tuple[str, str]
"""A stack's name and a logical id in it."""
PSEUDO: dict[str, Any] = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": None,
    "AWS::NotificationARNs": [],
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
SECRET = re.compile(r"\{\{resolve:secretsmanager:([^}]+?):SecretString:([^:}]*)[^}]*\}\}")


class Unresolved(Exception):
    """The template names something that was not made."""


@dataclass
class Values:
    """What is known of every resource by now."""

    told: dict[tuple[Place, str | None], Any] = field(default_factory=dict)
    parameters: dict[Place, Any] = field(default_factory=dict)
    stacks: list[Stack] = field(default_factory=list)
    secret: Callable[[str, str], str] = lambda arn, key: f"{arn}:{key}"

    def of(self, stack: Stack, node: Any) -> Any:
        """Return `node` of the stack's template with nothing left to be resolved."""
        if isinstance(node, list):
            return [value for each in node if (value := self.of(stack, each)) is not None]
        if not isinstance(node, dict):
            return self._without_references(node)
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._without_references(self._intrinsic(stack, name, argument))
        resolved = {key: self.of(stack, value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not None}

    def _intrinsic(self, stack: Stack, name: str, argument: Any) -> Any:
        known: Mapping[str, Callable[[Stack, Any], Any]] = {
            "Ref": self._ref,
            "Fn::Base64": self.of,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._attribute,
            "Fn::GetAZs": lambda stack, node: [REGION + letter for letter in "abc"],
            "Fn::If": lambda stack, node: self.of(stack, node[1]),
            "Fn::ImportValue": self._import,
            "Fn::Join": lambda stack, node: node[0].join(map(str, self.of(stack, node[1]))),
            "Fn::Select": lambda stack, node: self.of(stack, node[1])[int(self.of(stack, node[0]))],
            "Fn::Split": lambda stack, node: self.of(stack, node[1]).split(node[0]),
            "Fn::Sub": self._sub,
        }
        if name not in known:
            raise Unresolved(f"{name} in {stack.name}: teach it to cloud/resolve.py")
        return known[name](stack, argument)

    def _ref(self, stack: Stack, name: str) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        if name in ("AWS::StackName", "AWS::StackId"):
            return stack.name
        if name in stack.template.get("Parameters", {}):
            default = stack.template["Parameters"][name].get("Default")
            return self.parameters.get((stack.name, name), default)
        return self._known(stack, name, REF)

    def _attribute(self, stack: Stack, argument: str | list[str]) -> Any:
        logical, _, attribute = (argument if isinstance(argument, str) else ".".join(argument)).partition(".")
        return self._known(stack, logical, attribute)

    def _known(self, stack: Stack, logical: str, attribute: str | None) -> Any:
        key = ((stack.name, logical), attribute)
        if key not in self.told:
            raise Unresolved(f"{stack.name}: {logical}.{attribute or 'Ref'}")
        return self.told[key]

    def _find_in_map(self, stack: Stack, argument: list[Any]) -> Any:
        name, first, second = self.of(stack, argument)
        return stack.template["Mappings"][name][first][second]

    def _import(self, stack: Stack, argument: Any) -> Any:
        wanted = self.of(stack, argument)
        for other in self.stacks:
            for output in other.template.get("Outputs", {}).values():
                if "Export" in output and self.of(other, output["Export"]["Name"]) == wanted:
                    return self.of(other, output["Value"])
        raise Unresolved(f"no stack exports {wanted}")

    def _sub(self, stack: Stack, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], self.of(stack, argument[1]))

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                return str(own[name])
            return str(self._attribute(stack, name) if "." in name else self._ref(stack, name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def _without_references(self, value: Any) -> Any:
        if isinstance(value, str) and "{{resolve:secretsmanager:" in value:
            return SECRET.sub(lambda found: self.secret(found[1], found[2]), value)
        return value
