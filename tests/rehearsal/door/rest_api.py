"""A REST API of API Gateway, made of the template's resources and methods: payloads of version 1, streamed or not."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.policies import NotRehearsed
from tests.rehearsal.door.lambdas import Functions, body_of, buffered, streamed, told
from tests.rehearsal.door.routes import Route, find
from tests.rehearsal.host.spec import ACCOUNT, REGION
from tests.rehearsal.serving import Reply, Request

STANDARD_SECONDS = 29
"""How long an integration may take whose timeout is not said."""
FUNCTION = re.compile(r"functions/(arn:[^/]+)/(response-streaming-)?invocations$")
BYTES_MAX = 10 * 1024 * 1024


class RestApi:
    """One API; `id` is what its domain begins with, and every path begins with its stage."""

    def __init__(self, deployed: Deployed, stack: str, logical: str, functions: Functions) -> None:
        """Read its methods and its stages."""
        self.id = str(deployed.values.told[(stack, logical), None])
        self._functions = functions
        self._routes = list(_routes(deployed, self.id))
        values = deployed.values
        self._stages = {
            str(stage["StageName"])
            for owner, _, properties in deployed.assembly.of_type("AWS::ApiGateway::Stage")
            if (stage := values.of(owner, properties))["RestApiId"] == self.id
        }

    def answer(self, request: Request) -> Reply:
        """Answer a request as it comes from CloudFront, with the stage before its path."""
        stage, _, rest = urlsplit(request.target).path.removeprefix("/").partition("/")
        if stage not in self._stages:
            return told(403, "Forbidden")
        if (found := find(self._routes, request.method, f"/{rest}")) is None:
            return told(403, "Missing Authentication Token")
        route, parameters = found
        arn = _function(route)
        source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.id}/{stage}/{request.method}{_pattern(route.path)}"
        if not self._functions.may_invoke(arn, "apigateway.amazonaws.com", source):
            return told(500, "Internal server error")
        if len(request.body) > BYTES_MAX:
            return told(413, "Request Too Long")
        timeout_s = int(route.target.get("TimeoutInMillis", STANDARD_SECONDS * 1000)) / 1000
        answer = streamed if route.target.get("ResponseTransferMode") == "STREAM" else buffered
        return answer(self._functions.at(arn), self._event(request, route, parameters, stage, f"/{rest}"), timeout_s)

    def _event(
        self, request: Request, route: Route, parameters: dict[str, str], stage: str, path: str
    ) -> dict[str, Any]:
        address = urlsplit(request.target)
        body, is_base64 = body_of(request.body)
        query = parse_qs(address.query, keep_blank_values=True)
        headers: dict[str, list[str]] = {}
        for name, value in request.headers:
            headers.setdefault(name, []).append(value)
        return {
            "resource": route.path,
            "path": unquote(path),
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": self._context(request, route, stage),
            "body": body,
            "isBase64Encoded": is_base64,
        }

    def _context(self, request: Request, route: Route, stage: str) -> dict[str, Any]:
        return {
            "accountId": ACCOUNT,
            "apiId": self.id,
            "domainName": f"{self.id}.execute-api.{REGION}.amazonaws.com",
            "domainPrefix": self.id,
            "httpMethod": request.method,
            "identity": {"sourceIp": request.client, "userAgent": request.by_name.get("user-agent", "")},
            "path": urlsplit(request.target).path,
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourcePath": route.path,
            "stage": stage,
        }


def _function(route: Route) -> str:
    found = FUNCTION.search(str(route.target["Uri"]))
    if found is None:
        raise NotRehearsed(f"the integration {route.target['Uri']}")
    streams = route.target.get("ResponseTransferMode") == "STREAM"
    if streams != bool(found[2]):
        raise NotRehearsed(f"{route.target['Uri']} in the mode {route.target.get('ResponseTransferMode')}")
    return found[1]


def _pattern(path: str) -> str:
    """The source of a call has a star for every parameter."""
    return re.sub(r"\{[^}]+\}", "*", path)


def _routes(deployed: Deployed, api: str) -> Iterator[Route]:
    values = deployed.values
    parts = {
        values.told[(stack.name, logical), None]: values.of(stack, properties)
        for stack, logical, properties in deployed.assembly.of_type("AWS::ApiGateway::Resource")
    }

    def path_of(resource: str) -> str:
        if resource not in parts:
            return ""
        return f"{path_of(parts[resource]['ParentId'])}/{parts[resource]['PathPart']}"

    for stack, _, properties in deployed.assembly.of_type("AWS::ApiGateway::Method"):
        method = values.of(stack, properties)
        if method["RestApiId"] != api:
            continue
        if method.get("AuthorizationType", "NONE") != "NONE" or method.get("ApiKeyRequired"):
            raise NotRehearsed("an authorization of a method")
        if method["Integration"]["Type"] not in ("AWS_PROXY",):
            raise NotRehearsed(f"the integration {method['Integration']['Type']}")
        yield Route(method["HttpMethod"], path_of(method["ResourceId"]) or "/", method["Integration"])
