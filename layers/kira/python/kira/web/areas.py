"""What all routes of the API have in common."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute


def routes_of(tag: str, prefix: str = "/api") -> APIRouter:
    """Return a router for the routes of one area; `tag` groups them in the documents."""
    return APIRouter(prefix=prefix, tags=[tag], generate_unique_id_function=_short)


def _short(route: APIRoute) -> str:
    return route.name
