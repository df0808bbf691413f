"""CloudFront Functions of the template, run by node."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.rehearsal.serving import Headers, Reply, Request

RUNNER = Path(__file__).with_suffix(".js")
DISTRIBUTION = "rehearsal.cloudfront.net"


class EdgeFunctions:
    """A node that runs one function after the other."""

    def __init__(self) -> None:
        """Start nothing yet: a distribution without functions needs no node."""
        self._process: subprocess.Popen[str] | None = None
        self._guard = threading.Lock()

    def on_request(self, code: str, request: Request) -> Request | Reply:
        """Run a function on what a viewer asks; it gives a request to go on with, or an answer."""
        result = self._run(code, {"request": _request(request)}, "viewer-request", request)
        if "statusCode" in result:
            body = result.get("body", "")
            text = body if isinstance(body, str) else body.get("data", "")
            return Reply(int(result["statusCode"]), _headers(result), (text.encode(),))
        query = "&".join(
            f"{name}={each['value']}" if each["value"] else name
            for name, value in result.get("querystring", {}).items()
            for each in value.get("multiValue", [value])
        )
        target = quote(result["uri"], safe="/%:@!$&'()*+,;=~") + (f"?{query}" if query else "")
        cookies = "; ".join(f"{name}={value['value']}" for name, value in result.get("cookies", {}).items())
        headers = _headers(result) + ([("cookie", cookies)] if cookies else [])
        return Request(request.method, target, headers, request.body, request.client)

    def on_response(self, code: str, request: Request, reply: Reply) -> Reply:
        """Run a function on what a viewer is answered; it may change status and headers."""
        response = {"statusCode": reply.status, "headers": _structured(reply.headers), "cookies": {}}
        cookies = [(name, value) for name, value in reply.headers if name.lower() == "set-cookie"]
        event = {"request": _request(request), "response": response}
        result = self._run(code, event, "viewer-response", request)
        return Reply(int(result["statusCode"]), _headers(result) + cookies, reply.pieces)

    def close(self) -> None:
        """End node."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _run(self, code: str, event: dict[str, Any], kind: str, request: Request) -> dict[str, Any]:
        context = {"distributionDomainName": DISTRIBUTION, "distributionId": "REHEARSAL", "eventType": kind}
        whole = {"version": "1.0", "context": context, "viewer": {"ip": request.client}, **event}
        with self._guard:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"code": code, "event": whole}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        if "error" in answer:
            return {"statusCode": 503, "headers": {}, "body": answer["error"]}
        return dict(answer["result"])

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(["node", str(RUNNER)], stdin=pipe, stdout=pipe, text=True)
        return self._process


def _request(request: Request) -> dict[str, Any]:
    address = urlsplit(request.target)
    cookies = [each.strip().partition("=") for each in request.by_name.get("cookie", "").split(";") if each.strip()]
    return {
        "method": request.method,
        "uri": address.path,
        "querystring": _query(address.query),
        "headers": _structured(request.headers),
        "cookies": {name: {"value": value} for name, _, value in cookies},
    }


def _query(text: str) -> dict[str, Any]:
    """Return the query as functions get it: as it was encoded."""
    found: dict[str, Any] = {}
    for part in text.split("&") if text else []:
        name, _, value = part.partition("=")
        if name in found:
            found[name].setdefault("multiValue", [{"value": found[name]["value"]}]).append({"value": value})
        else:
            found[name] = {"value": value}
    return found


def _structured(headers: Headers) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in headers:
        low = name.lower()
        if low in ("cookie", "set-cookie"):
            continue
        if low in found:
            found[low].setdefault("multiValue", [{"value": found[low]["value"]}]).append({"value": value})
        else:
            found[low] = {"value": value}
    return found


def _headers(told: dict[str, Any]) -> Headers:
    return [
        (name, each["value"])
        for name, value in told.get("headers", {}).items()
        for each in value.get("multiValue", [value])
    ]
