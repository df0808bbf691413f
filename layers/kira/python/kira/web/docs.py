"""The OpenAPI document with the errors of every route, and as plain HTML, without a script, at /api/docs."""

from __future__ import annotations

from html import escape
from typing import Any

from pydantic import BaseModel, ConfigDict

METHODS = ("get", "post", "put", "patch", "delete")
REFERENCE = "#/components/schemas/{model}"
FRAMEWORKS = ("HTTPValidationError", "ValidationError")
ERRORS = {"4XX": "Client Error", "5XX": "Server Error"}


class ErrorBody(BaseModel):
    """What went wrong: a stable code and a sentence for people."""

    model_config = ConfigDict(extra="allow")
    code: str
    message: str


class ErrorShown(BaseModel):
    """The one shape of every error."""

    error: ErrorBody


def with_errors(document: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI `document` with what every route may refuse.

    Said here once and not of each route, where the framework would make a validator for it whenever Kira starts.
    """
    shape = ErrorShown.model_json_schema(ref_template=REFERENCE)
    shapes = document.setdefault("components", {}).setdefault("schemas", {})
    shapes |= shape.pop("$defs") | {ErrorShown.__name__: shape}
    for unused in FRAMEWORKS:
        shapes.pop(unused, None)
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(model=ErrorShown.__name__)}}}
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"].pop("422", None)  # the framework's own, which Kira says in its own shape
            for status, description in ERRORS.items():
                operation["responses"][status] = {"description": description, "content": content}
    return document


def page(document: dict[str, Any]) -> str:
    """Return one HTML page that lists every route of the OpenAPI `document`."""
    parts = [
        _operation(path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kira: API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><main>'
        f"<h1>Kira: API {escape(document['info']['version'])}</h1>"
        "<p>Send <code>Authorization: Bearer</code> and an access token. The machine-readable document is "
        '<a href="/api/openapi.json">/api/openapi.json</a>.</p>' + "".join(parts) + "</main></body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    body = _schema(operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema"))
    answers = "".join(_answer(status, given) for status, given in operation["responses"].items())
    parameters = "".join(
        f"<li><code>{escape(each['name'])}</code> ({escape(each['in'])}) {escape(each.get('description', ''))}</li>"
        for each in operation.get("parameters", [])
    )
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
        + (f"<p>Takes <code>{escape(body)}</code></p>" if body else "")
        + (f"<ul>{parameters}</ul>" if parameters else "")
        + f"<ul>{answers}</ul></section>"
    )


def _answer(status: str, given: dict[str, Any]) -> str:
    schema = _schema(given.get("content", {}).get("application/json", {}).get("schema"))
    said = f" <code>{escape(schema)}</code>" if schema else f" {escape(given.get('description', ''))}"
    return f"<li>{escape(status)}{said}</li>"


def _schema(schema: dict[str, Any] | None) -> str:
    if not schema:
        return ""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(filter(None, map(_schema, schema["anyOf"])))
    return str(schema.get("title") or schema.get("type") or "")
