"""One app: routes put together on one Kira, and every error told in the one shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from kira import __version__
from kira.services.kira import Kira
from kira.web import errors

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def app_of(
    kira: Kira | None, routers: Iterable[APIRouter], *, pages: ASGIApp | None = None, lifespan: Lifespan | None = None
) -> FastAPI:
    """Return the app of `routers` on `kira`, which `lifespan` may set later; as `build`, which knows the areas."""
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
    for router in routers:
        # The routes themselves: an included router is searched anew by every request.
        app.router.routes.extend(router.routes)
    if pages is not None:
        # Not mounted at "/": a mount would also take what a route refuses, and its 405 would become a 404.
        app.router.default = pages
    return app


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield
