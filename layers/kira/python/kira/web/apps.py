"""Apps: areas of the API put together; a Lambda serves one area, one computer serves all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp

from kira import __version__
from kira.services.kira import Kira
from kira.web import auth, conversations, docs, errors, health, metrics, runs, widgets

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

AREAS: dict[str, tuple[APIRouter, ...]] = {
    "chat": (conversations.router, runs.router),
    "auth": (auth.router,),
    "widgets": (widgets.router,),
    "health": (health.router, metrics.router),
}


def build(kira: Kira | None, *areas: str, pages: ASGIApp | None = None, lifespan: Lifespan | None = None) -> FastAPI:
    """Return the app of `areas` (all of AREAS when none is named) on `kira`, which `lifespan` may set later.

    `pages` answers every address that no route knows.
    """
    app = FastAPI(
        title="Kira",
        version=__version__,
        description="A multi-user AI assistant that shares model slots fairly.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan or _nothing,
        separate_input_output_schemas=False,
    )
    app.state.kira = kira
    errors.install(app)
    for area in areas or AREAS:
        for router in AREAS[area]:
            # The routes themselves: an included router is searched anew by every request.
            app.router.routes.extend(router.routes)
    app.add_route("/api/openapi.json", _openapi, include_in_schema=False)
    app.add_route("/api/docs", _docs, include_in_schema=False)
    if pages is not None:
        # Not mounted at "/": a mount would also take what a route refuses, and its 405 would become a 404.
        app.router.default = pages
    return app


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi(), headers={"cache-control": "no-cache"})


async def _docs(request: Request) -> Response:
    return HTMLResponse(docs.page(request.app.openapi()), headers={"cache-control": "no-cache"})


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield
