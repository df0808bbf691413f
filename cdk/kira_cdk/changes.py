"""What a deploy would change, and whether it would lose data: then it is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

Templates = Mapping[str, Mapping[str, Any]]

DATA = (
    "AWS::KMS::Key",
    "AWS::RDS::DBCluster",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
)
"""What cannot be made again: its contents would be gone."""

# CloudFormation calls these updates, but what was in the resource is lost all the same.
AS_GOOD_AS_REPLACED = {"AWS::SecretsManager::Secret": ("GenerateSecretString", "SecretString")}
KEEPS = ("Retain", "RetainExceptOnCreate", "Snapshot")


@dataclass(frozen=True)
class Change:
    """One resource that a deploy adds, removes or changes."""

    stack: str
    name: str
    type: str
    how: str
    loses: str = ""


def between(old: Templates, new: Templates) -> list[Change]:
    """Return every change from the templates `old` to `new`."""
    found = []
    for stack in sorted({*old, *new}):
        before, after = _resources(old.get(stack, {})), _resources(new.get(stack, {}))
        for name in sorted({*before, *after}):
            change = _change(stack, name, before.get(name), after.get(name))
            if change is not None:
                found.append(change)
    return found


def told(found: list[Change]) -> str:
    """Return the changes as a person reads them, what is refused last."""
    if not found:
        return "A deploy changes nothing."
    lines = [f"{each.how:<8} {each.stack}/{each.name} ({each.type})" for each in found]
    lost = [each for each in found if each.loses]
    if lost:
        lines += [
            "",
            "Refused, because data would be lost:",
            *(f"  {each.stack}/{each.name}: {each.loses}" for each in lost),
        ]
    return "\n".join(lines)


def deployed(stacks: list[str]) -> dict[str, dict[str, Any]]:
    """Return the templates that are deployed under these names, asking CloudFormation with the caller's own rights."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - only where AWS is asked

    client = boto3.client("cloudformation")
    found = {}
    for stack in stacks:
        try:
            body = client.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
        except client.exceptions.ClientError as error:
            if "does not exist" not in str(error):
                raise
            continue
        found[stack] = json.loads(body) if isinstance(body, str) else dict(body)
    return found


def _change(stack: str, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Change | None:
    if before is None:
        return Change(stack, name, after["Type"], "adds") if after else None
    kind = before["Type"]
    is_data = kind in DATA
    if after is None or after["Type"] != kind:
        return Change(stack, name, kind, "removes", "it would no longer be there." if is_data else "")
    if before == after:
        return None
    return Change(stack, name, kind, "changes", _loss(kind, before, after) if is_data else "")


def _loss(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say why the change of a data resource loses what is in it; nothing when it does not."""
    old, new = before.get("Properties", {}), after.get("Properties", {})
    for path in [*_create_only(kind), *AS_GOOD_AS_REPLACED.get(kind, ())]:
        if _at(old, path) != _at(new, path):
            return f"a change of {path} replaces what is in it."
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if before.get(policy) in KEEPS and after.get(policy) not in KEEPS:
            return f"its {policy} would no longer keep it."
    if old.get("DeletionProtection") and not new.get("DeletionProtection"):
        return "its deletion protection would end. Turn it off by hand when that is meant."
    return ""


def _create_only(kind: str) -> list[str]:
    """Return the properties that CloudFormation can only set when it makes the resource, as AWS itself lists them."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return [path.removeprefix("/properties/").replace("/", ".") for path in schema.get("createOnlyProperties", [])]


def _at(properties: Mapping[str, Any], path: str) -> object:
    value: Any = properties
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _resources(template: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = template.get("Resources", {})
    return found
