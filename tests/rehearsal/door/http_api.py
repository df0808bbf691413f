"""An HTTP API of API Gateway, made of the template's routes: payloads of version 2, answers in one piece."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.policies import NotRehearsed
from tests.rehearsal.door.lambdas import Functions, body_of, buffered, told
from tests.rehearsal.door.routes import Route, find
from tests.rehearsal.host.spec import ACCOUNT, REGION
from tests.rehearsal.serving import Reply, Request

SECONDS_MAX = 30
BYTES_MAX = 10 * 1024 * 1024


class HttpApi:
    """One API; `id` is what its domain begins with."""

    def __init__(self, deployed: Deployed, stack: str, logical: str, functions: Functions) -> None:
        """Read its routes."""
        self.id = str(deployed.values.told[(stack, logical), None])
        self._functions = functions
        self._routes = list(_routes(deployed, (stack, logical)))

    def answer(self, request: Request) -> Reply:
        """Answer a request as it comes from CloudFront."""
        address = urlsplit(request.target)
        if (found := find(self._routes, request.method, address.path)) is None:
            return told(404, "Not Found")
        route, parameters = found
        arn = str(route.target["IntegrationUri"])
        called = route.path if route.path == "$default" else f"{request.method}{route.path}"
        source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.id}/$default/{called}"
        if not self._functions.may_invoke(arn, "apigateway.amazonaws.com", source):
            return told(500, "Internal Server Error")
        if len(request.body) > BYTES_MAX:
            return told(413, "Request Entity Too Large")
        timeout_s = int(route.target.get("TimeoutInMillis", SECONDS_MAX * 1000)) / 1000
        event = self._event(request, route, parameters)
        return buffered(self._functions.at(arn), event, min(timeout_s, SECONDS_MAX))

    def _event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        address, headers = urlsplit(request.target), request.by_name
        cookies = [each.strip() for each in headers.pop("cookie", "").split(";") if each.strip()]
        body, is_base64 = body_of(request.body)
        key = f"{route.method} {route.path}" if route.path != "$default" else "$default"
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": key,
            "rawPath": unquote(address.path),
            "rawQueryString": address.query,
            "headers": headers | {"content-length": str(len(request.body))},
            "requestContext": self._context(request, key, headers),
            "isBase64Encoded": is_base64,
        }
        query: dict[str, str] = {}
        for name, value in parse_qsl(address.query, keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value
        more = {"cookies": cookies, "queryStringParameters": query, "pathParameters": parameters, "body": body}
        return event | {name: value for name, value in more.items() if value}

    def _context(self, request: Request, key: str, headers: Mapping[str, str]) -> dict[str, Any]:
        domain = f"{self.id}.execute-api.{REGION}.amazonaws.com"
        http = {
            "method": request.method,
            "path": unquote(urlsplit(request.target).path),
            "protocol": "HTTP/1.1",
            "sourceIp": request.client,
            "userAgent": headers.get("user-agent", ""),
        }
        return {
            "accountId": ACCOUNT,
            "apiId": self.id,
            "domainName": domain,
            "domainPrefix": self.id,
            "http": http,
            "requestId": str(uuid.uuid4()),
            "routeKey": key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        }


def _routes(deployed: Deployed, place: tuple[str, str]) -> Iterator[Route]:
    values = deployed.values
    api = values.told[place, None]
    integrations = {
        values.told[(stack.name, logical), None]: values.of(stack, properties)
        for stack, logical, properties in deployed.assembly.of_type("AWS::ApiGatewayV2::Integration")
    }
    for stack, _, properties in deployed.assembly.of_type("AWS::ApiGatewayV2::Route"):
        route = values.of(stack, properties)
        if route["ApiId"] != api:
            continue
        if route.get("AuthorizationType", "NONE") != "NONE":
            raise NotRehearsed(f"the authorization {route['AuthorizationType']} of a route")
        integration = integrations[route["Target"].removeprefix("integrations/")]
        if integration.get("PayloadFormatVersion") != "2.0":
            raise NotRehearsed("a payload that is not of version 2.0")
        method, _, path = route["RouteKey"].rpartition(" ")
        yield Route(method or "ANY", path, integration)
