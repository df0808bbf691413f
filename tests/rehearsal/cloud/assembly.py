"""What CDK synthesised: the stacks in the order in which they are deployed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Template = dict[str, Any]


@dataclass
class Stack:
    """One stack: its name, its file, and its template."""

    name: str
    file: str
    template: Template
    needs: list[str] = field(default_factory=list)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Its resources by logical id."""
        return dict(self.template.get("Resources", {}))


@dataclass(frozen=True)
class Assembly:
    """A folder as `cdk synth` leaves it."""

    folder: Path
    stacks: list[Stack]

    def of_type(self, name: str) -> list[tuple[Stack, str, dict[str, Any]]]:
        """Return stack, logical id and properties of every resource of a type."""
        return [
            (stack, logical, resource.get("Properties", {}))
            for stack in self.stacks
            for logical, resource in stack.resources.items()
            if resource["Type"] == name
        ]


def read(folder: Path) -> Assembly:
    """Read an assembly, each stack after those it needs."""
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    found = {
        key: Stack(
            artifact.get("properties", {}).get("stackName", key),
            artifact["properties"]["templateFile"],
            json.loads((folder / artifact["properties"]["templateFile"]).read_text()),
            [each for each in artifact.get("dependencies", []) if artifacts[each]["type"] == artifact["type"]],
        )
        for key, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    return Assembly(folder, [found[key] for key in _ordered({key: stack.needs for key, stack in found.items()})])


def _ordered(needs: dict[str, list[str]]) -> list[str]:
    done: list[str] = []
    while len(done) < len(needs):
        done += [key for key in needs if key not in done and set(needs[key]) <= set(done)]
    return done
