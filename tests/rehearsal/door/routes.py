"""Finds the route of a path as API Gateway does: the most particular first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True)
class Route:
    """One route and where it leads."""

    method: str
    path: str
    target: Mapping[str, Any]

    @property
    def parts(self) -> list[str]:
        """The path between its slashes."""
        return self.path.strip("/").split("/")

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path's parameters, or None when it is another."""
        if self.path == "$default":
            return {}
        asked = path.strip("/").split("/")
        found: dict[str, str] = {}
        for number, part in enumerate(self.parts):
            if part.startswith("{") and part.endswith("+}"):
                rest = "/".join(asked[number:])
                return {**found, part[1:-2]: unquote(rest)} if rest else None
            if number >= len(asked):
                return None
            if part.startswith("{") and asked[number]:
                found[part[1:-1]] = unquote(asked[number])
            elif part != asked[number]:
                return None
        return found if len(asked) == len(self.parts) else None

    @property
    def rank(self) -> tuple[int, list[int], bool]:
        """Exact before a parameter, before the greedy, before the default; a method before any."""
        kinds = [2 if part.endswith("+}") else 1 if part.startswith("{") else 0 for part in self.parts]
        return int(self.path == "$default"), kinds, self.method == "ANY"


def find(routes: Sequence[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a request with the parameters of its path."""
    for route in sorted(routes, key=lambda each: each.rank):
        if route.method in (method, "ANY") and (parameters := route.match(path)) is not None:
            return route, parameters
    return None
