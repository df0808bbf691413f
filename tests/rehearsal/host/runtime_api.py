"""The Runtime API of one execution environment, as a Lambda function's runtime client speaks to it."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from tests.rehearsal.host.invocation import PRELUDE, Invocation
from tests.rehearsal.serving import Hearing

VERSION = "/2018-06-01/runtime"


class Watcher(Protocol):
    """Who hears what the runtime client says."""

    def on_ready(self) -> None:
        """It has loaded the handler and asks for work."""

    def on_init_error(self, told: dict[str, Any]) -> None:
        """It could not load the handler."""

    def on_done(self) -> None:
        """It has answered what it was given."""


class RuntimeApi:
    """A server on loopback that hands out one invocation at a time."""

    def __init__(self, function_arn: str, watcher: Watcher) -> None:
        """Begin to listen on a free port."""
        self._arn, self._watcher = function_arn, watcher
        self._waiting: queue.Queue[Invocation | None] = queue.Queue()
        self._current: Invocation | None = None
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """What `AWS_LAMBDA_RUNTIME_API` says."""
        return f"127.0.0.1:{self._server.server_port}"

    def give(self, invocation: Invocation) -> None:
        """Let the client take `invocation` as its next."""
        self._waiting.put(invocation)

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()

    def take(self) -> Invocation | None:
        """Wait for the next invocation; None at the end."""
        self._watcher.on_ready()
        self._current = self._waiting.get()
        return self._current

    def headers_of(self, invocation: Invocation) -> dict[str, str]:
        """Return what a client must know of its invocation."""
        return {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": invocation.trace,
        }

    def take_answer(self, path: str, headers: Any, pieces: Iterator[bytes]) -> bool:
        """Take what a client posts; False for what is not of the invocation that it was given."""
        if path == f"{VERSION}/init/error":
            self._watcher.on_init_error(json.loads(b"".join(pieces) or b"{}"))
            return True
        invocation = self._current
        if invocation is None or path not in (f"{_own(invocation)}/response", f"{_own(invocation)}/error"):
            return False
        if path.endswith("/error"):
            told = json.loads(b"".join(pieces) or b"{}")
            self._free()
            invocation.fail(told)
        else:
            streams = headers.get("Lambda-Runtime-Function-Response-Mode") == "streaming"
            invocation.begin(streams=streams, framed=headers.get("Content-Type") == PRELUDE)
            for piece in pieces:
                invocation.add(piece)
            self._free()
            invocation.end()
        return True

    def _free(self) -> None:
        """Whoever hears of the end may give the next invocation at once."""
        self._current = None
        self._watcher.on_done()


def _own(invocation: Invocation) -> str:
    return f"{VERSION}/invocation/{invocation.id}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that was killed."""


class _Handler(Hearing, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small answers would wait for 40 ms
    wbufsize = 65536
    server: _Server

    def log_message(self, *arguments: object) -> None:
        """Say nothing: the function's own log is what counts."""

    def do_GET(self) -> None:
        if self.path != f"{VERSION}/invocation/next":
            self._answer(404, b"{}")
            return
        invocation = self.server.api.take()
        if invocation is None:
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):
            self._answer(200, invocation.payload, self.server.api.headers_of(invocation))

    def do_POST(self) -> None:
        taken = self.server.api.take_answer(self.path, self.headers, self._pieces())
        self._answer(202 if taken else 400, b'{"status":"OK"}')

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pieces(self) -> Iterator[bytes]:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
