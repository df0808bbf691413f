"""Apps: areas of the API put together; a Lambda serves one area, one computer serves all."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp

from kira.services.kira import Kira
from kira.web import auth, conversations, docs, health, metrics, runs, streams, widgets
from kira.web.app import Lifespan, app_of

AREAS: dict[str, tuple[APIRouter, ...]] = {
    "chat": (conversations.router, runs.router),
    "stream": (streams.router,),
    "auth": (auth.router,),
    "widgets": (widgets.router,),
    "health": (health.router, metrics.router),
}


def build(kira: Kira | None, *areas: str, pages: ASGIApp | None = None, lifespan: Lifespan | None = None) -> FastAPI:
    """Return the app of `areas` (all of AREAS when none is named) on `kira`, which `lifespan` may set later.

    `pages` answers every address that no route knows.
    """
    routers = [router for area in areas or AREAS for router in AREAS[area]]
    app = app_of(kira, routers, pages=pages, lifespan=lifespan)
    made = app.openapi
    app.openapi = lambda: app.openapi_schema or docs.with_errors(made())  # type: ignore[method-assign]
    app.add_route("/api/openapi.json", _openapi, include_in_schema=False)
    app.add_route("/api/docs", _docs, include_in_schema=False)
    return app


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi(), headers={"cache-control": "no-cache"})


async def _docs(request: Request) -> Response:
    return HTMLResponse(docs.page(request.app.openapi()), headers={"cache-control": "no-cache"})
