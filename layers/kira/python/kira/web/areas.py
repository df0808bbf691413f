"""What all routes of the API have in common."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute

from kira.web.schemas import ErrorShown


def routes_of(tag: str, prefix: str = "/api") -> APIRouter:
    """Return a router for the routes of one area; `tag` groups them in the documents."""
    errors: dict[int | str, dict[str, object]] = {"4XX": {"model": ErrorShown}, "5XX": {"model": ErrorShown}}
    return APIRouter(prefix=prefix, tags=[tag], responses=errors, generate_unique_id_function=_short)


def _short(route: APIRoute) -> str:
    return route.name
