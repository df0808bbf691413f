"""A small HTTP server in threads, for those who answer requests piece by piece."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler
from typing import Any

Headers = list[tuple[str, str]]
OF_ONE_STRETCH = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
"""What is said anew from one server to the next."""


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    target: str
    headers: Headers
    body: bytes
    client: str

    @property
    def by_name(self) -> dict[str, str]:
        """The headers by their names in small letters; several of one name are joined as HTTP says."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            low = name.lower()
            joint = "; " if low == "cookie" else ", "
            found[low] = f"{found[low]}{joint}{value}" if low in found else value
        return found


@dataclass
class Reply:
    """An answer; what comes in several pieces is sent as it comes."""

    status: int
    headers: Headers = field(default_factory=list)
    pieces: Iterable[bytes] = ()

    @property
    def whole(self) -> bytes | None:
        """The body if all of it is there."""
        return b"".join(self.pieces) if isinstance(self.pieces, tuple | list) else None


class Server:
    """Answers on a free port of loopback."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        """Begin to listen."""
        self._server = _Server(answer)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """Where."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""


class Hearing(StreamRequestHandler):
    """Closes what it read from also where what it wrote was never taken, because who asked was killed."""

    def finish(self) -> None:
        """End a connection."""
        with contextlib.suppress(OSError):
            super().finish()
        self.rfile.close()


class _Handler(Hearing, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small answers would wait for 40 ms
    wbufsize = 65536
    server: _Server

    def __getattr__(self, name: str) -> Any:
        """Every method goes the same way."""
        if name.startswith("do_"):
            return self._go
        raise AttributeError(name)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def handle_expect_100(self) -> bool:
        """Say at once that the body may come: clients of S3 wait a second for it."""
        done = super().handle_expect_100()
        self.wfile.flush()
        return done

    def _go(self) -> None:
        body = b"".join(self._body())
        request = Request(self.command, self.path, self.headers.items(), body, self.client_address[0])
        reply = self.server.answer(request)
        with contextlib.closing(_Closing(reply.pieces)):
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            if name.lower() not in OF_ONE_STRETCH:
                self.send_header(name, value)
        whole = reply.whole
        if self.command == "HEAD" or reply.status in (204, 304):
            self._end_without_body(reply)
        elif whole is not None:
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole)
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._send_pieces(reply)

    def _end_without_body(self, reply: Reply) -> None:
        length = next((value for name, value in reply.headers if name.lower() == "content-length"), None)
        if length is not None and reply.status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()

    def _send_pieces(self, reply: Reply) -> None:
        self.wfile.flush()
        for piece in reply.pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                raise ConnectionAbortedError("Who asked was killed in the middle, and asked for nothing.")
            yield body
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


@dataclass(frozen=True)
class _Closing:
    """Lets a reply know that nobody reads on."""

    pieces: Iterable[bytes]

    def close(self) -> None:
        """Close what can be closed."""
        if (close := getattr(self.pieces, "close", None)) is not None:
            close()
