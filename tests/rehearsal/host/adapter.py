"""The part of the Lambda Web Adapter: it starts a web server, waits until it is ready, and passes requests on."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.rehearsal.host.environment import environment_of
from tests.rehearsal.host.invocation import DELIMITER, Invocation
from tests.rehearsal.host.process import Process
from tests.rehearsal.host.runtime import Runtime
from tests.rehearsal.host.sandbox import INIT_SECONDS, Sandbox
from tests.rehearsal.host.spec import Spec

CHECKS = frozenset({"READINESS_CHECK_MIN_UNHEALTHY_STATUS", "READINESS_CHECK_PATH", "READINESS_CHECK_PROTOCOL"})
KNOWN = CHECKS | {"INVOKE_MODE", "PORT"}
"""The settings of the adapter that are honoured here."""
PORTS = ("AWS_LWA_PORT", "PORT")
LOOK_SECONDS = 0.01
PLAIN_IN_PATHS = "/%!$&'()*+,;=:@-._~"


class NotRehearsed(Exception):
    """The template says something that this stand-in of the adapter does not know; teach it first."""


@dataclass(frozen=True)
class Adapting:
    """What the template tells the adapter."""

    port: str
    protocol: str
    path: str
    unhealthy: int
    streams: bool

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Adapting:
        """Read it from a function's environment."""
        told = {
            name.removeprefix("AWS_LWA_"): value for name, value in environment.items() if name.startswith("AWS_LWA_")
        }
        if told.keys() - KNOWN:
            raise NotRehearsed(f"AWS_LWA_{min(told.keys() - KNOWN)}")
        return cls(
            told.get("PORT", environment.get("PORT", "8080")),
            told.get("READINESS_CHECK_PROTOCOL", environment.get("READINESS_CHECK_PROTOCOL", "http")).lower(),
            told.get("READINESS_CHECK_PATH", environment.get("READINESS_CHECK_PATH", "/")),
            int(told.get("READINESS_CHECK_MIN_UNHEALTHY_STATUS", 500)),
            told.get("INVOKE_MODE", "buffered") == "response_stream",
        )


class WebSandbox(Sandbox):
    """An environment whose process is a web server; the adapter is in the host."""

    def _started(self, spec: Spec, runtime: Runtime, opt: Path, log: Path) -> Process:
        self._adapting = Adapting.of(spec.environment)
        self._port = _free_port()
        environment = environment_of(spec, runtime, opt)
        # On AWS every environment has its ports for itself; here they are many on one computer.
        environment |= {name: str(self._port) for name in PORTS if name in spec.environment}
        script = self._script(spec, opt, log)
        threading.Thread(target=self._look, daemon=True).start()
        return Process([script], spec.folder, environment, log)

    def _script(self, spec: Spec, opt: Path, log: Path) -> Path:
        """Return the start script with Lambda's folders and port read as those that stand for them here."""
        original = spec.folder / spec.handler
        text = original.read_text()
        for name, place in (("/opt", opt), ("/var/task", spec.folder)):
            text = re.sub(rf"(?<![\w/.-]){name}(?=[/:\s\"'])", str(place), text)
        text = re.sub(rf"(?<!\d){self._adapting.port}(?!\d)", str(self._port), text)
        script = log.with_name(f"{spec.name}-{self._port}.sh")
        script.write_text(text)
        script.chmod(original.stat().st_mode)
        return script

    def close(self) -> None:
        """End it."""
        self.condemn()
        self.process.kill()

    def _look(self) -> None:
        """Ask the server until it is ready; what loads for longer than Lambda waits is given up by `begun`."""
        end = time.monotonic() + INIT_SECONDS
        while time.monotonic() < end and not self._loaded.is_set():
            if self._answers():
                self.on_ready()
                return
            time.sleep(LOOK_SECONDS)

    def _answers(self) -> bool:
        if self._adapting.protocol == "tcp":
            return _listens(self._port)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=INIT_SECONDS)
        try:
            connection.request("GET", self._adapting.path)
            return connection.getresponse().status < self._adapting.unhealthy
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _give(self, invocation: Invocation) -> None:
        threading.Thread(target=self._pass_on, args=(invocation,), daemon=True).start()

    def _pass_on(self, invocation: Invocation) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        failure = None
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.request(*_request(json.loads(invocation.payload)))
            with connection.getresponse() as response:
                self._answer(invocation, response)
        except (OSError, ValueError, http.client.HTTPException) as error:
            failure = {"errorType": "Runtime.AdapterError", "errorMessage": str(error)}
        finally:
            connection.close()
        self.on_done()
        self.on_ready()
        if failure is None:
            invocation.end()
        else:
            invocation.fail(failure)

    def _answer(self, invocation: Invocation, response: http.client.HTTPResponse) -> None:
        if not self._adapting.streams:
            invocation.begin(streams=False, framed=False)
            invocation.add(_buffered(response))
            return
        invocation.begin(streams=True, framed=True)
        invocation.add(json.dumps(_head(response)).encode() + DELIMITER)
        while piece := response.read1(65536):
            invocation.add(piece)


def _head(response: http.client.HTTPResponse) -> dict[str, Any]:
    pairs = [(name.lower(), value) for name, value in response.getheaders() if name.lower() != "transfer-encoding"]
    headers: dict[str, str] = {}
    for name, value in pairs:
        if name != "set-cookie":
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    cookies = [value for name, value in pairs if name == "set-cookie"]
    return {"statusCode": response.status, "headers": headers, "cookies": cookies}


def _buffered(response: http.client.HTTPResponse) -> bytes:
    head, body = _head(response), base64.b64encode(response.read()).decode()
    return json.dumps(head | {"body": body, "isBase64Encoded": True}).encode()


def _request(event: dict[str, Any]) -> tuple[str, str, bytes, dict[str, str]]:
    """Return method, path with query, body and headers of the request that an event of either API stands for."""
    context = event["requestContext"]
    if "http" in context:
        method, path, query = context["http"]["method"], event["rawPath"], event.get("rawQueryString") or ""
        headers = dict(event["headers"])
        if event.get("cookies"):
            headers["cookie"] = "; ".join(event["cookies"])
    else:
        method, path = event["httpMethod"], event["path"]
        query = urlencode(event.get("multiValueQueryStringParameters") or {}, doseq=True)
        headers = {name: ", ".join(values) for name, values in (event.get("multiValueHeaders") or {}).items()}
    headers["x-amzn-request-context"] = json.dumps(context)
    body = event.get("body") or ""
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    target = quote(path, safe=PLAIN_IN_PATHS)
    return method, f"{target}?{query}" if query else target, data, headers


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
