"""The addresses of the API, read from the apps themselves, and which function answers each."""

from __future__ import annotations

from fastapi.routing import APIRoute

from kira.web.apps import AREAS
from kira_cdk.functions import FUNCTIONS

STREAMED = ("/api/events", "/api/runs/{run_id}/events")
NOT_ON_AWS = ("/metrics",)  # CloudWatch counts there
OTHERWISE = "$default"  # what no route knows is refused by Kira itself, in its own words
REFUSES = "auth"
HTTP = ("auth", "chat", "widgets")


def paths() -> dict[str, set[str]]:
    """Return every path of the API with its methods, for each area."""
    found: dict[str, set[str]] = {}
    for area, routers in AREAS.items():
        found[area] = {route.path for router in routers for route in router.routes if isinstance(route, APIRoute)}
    return found


def by_function() -> dict[str, list[str]]:
    """Return the paths that the HTTP API sends to each function."""
    of_area = paths()
    apart = {*STREAMED, *NOT_ON_AWS}
    there: dict[str, list[str]] = {
        each.name: sorted(set().union(*(of_area.get(area, set()) for area in each.areas)) - apart)
        for each in FUNCTIONS
        if each.name in HTTP
    }
    there[REFUSES].append(OTHERWISE)
    return there
