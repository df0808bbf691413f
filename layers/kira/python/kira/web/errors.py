"""The one table from errors to HTTP, and the one shape in which they are told."""

from __future__ import annotations

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from kira.domain import errors
from kira.domain.errors import KiraError

log = logging.getLogger("kira.web")

STATUS: dict[type[KiraError], int] = {
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.TokenExpired: 401,
    errors.WrongCredentials: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Invalid: 422,
    errors.RateLimited: 429,
    errors.QueueFull: 429,
    errors.TooManyStreams: 429,
    errors.Waits: 503,
    errors.Unavailable: 503,
    errors.DiskFull: 507,
    errors.EngineError: 502,
    errors.WrongSetting: 500,
    errors.UnprovenStatement: 500,
    KiraError: 500,
}
"""HTTP status of every error; a class that is not listed has the status of its nearest parent."""


def status_of(error: KiraError) -> int:
    """Return the HTTP status of `error`."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer(error: KiraError) -> Response:
    """Return `error` in the API's one shape."""
    status = status_of(error)
    headers = {}
    if isinstance(error, errors.Waits):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    code, message = error.code, error.message
    if status >= 500 and error.code == "INTERNAL":
        message = KiraError().message
    return JSONResponse({"error": {"code": code, "message": message, **error.details}}, status, headers)


def install(app: FastAPI) -> None:
    """Let `app` tell every error in the one shape."""

    async def told(_: Request, error: Exception) -> Response:
        assert isinstance(error, KiraError)  # noqa: S101 - the handler is registered for this class
        if status_of(error) >= 500:
            log.warning("%s: %s", error.code, error.message)
        return answer(error)

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("a defect in %s %s", request.method, request.url.path, exc_info=error)
        return answer(KiraError())

    app.add_exception_handler(KiraError, told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _from_the_router)
    app.add_exception_handler(Exception, unexpected)


async def _invalid(_: Request, error: Exception) -> Response:
    found: list[dict[str, Any]] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    if any(each["type"] == "json_invalid" for each in found):
        return answer(errors.BadRequest())
    fields = [{"path": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in found]
    told = "; ".join(f"{field['path'].rpartition('.')[2]}: {field['message']}" for field in fields[:3])
    return answer(errors.Invalid(f"{errors.Invalid().message} {told}".strip(), fields=fields))


async def _from_the_router(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return answer(errors.NotFound())
    if status == 413 and isinstance(error, HTTPException):
        return answer(errors.TooLarge(error.detail))
    if status == 405:
        told = {"code": "METHOD_NOT_ALLOWED", "message": "This address does not take this method."}
        allowed = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        return JSONResponse({"error": told}, 405, allowed)
    return answer(errors.BadRequest())
