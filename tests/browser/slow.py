"""A way to a Kira on which the answers to some requests are held back until a test lets them through."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Page
from tests.rehearsal.serving import Reply, Request, Server

PATIENCE_S = 30


@dataclass
class Way:
    """Everything that is asked at `address` goes on to `home`; answers to `held` wait while `is_free` is not set."""

    home: str
    held: str
    address: str = ""
    asked: int = 0
    """How many requests for `held` have come to the home."""
    is_free: threading.Event = field(default_factory=threading.Event)

    def until_asked(self, page: Page, times: int) -> None:
        """Return when so many have come, while `page` goes on."""
        end = time.monotonic() + PATIENCE_S
        while self.asked < times:
            assert time.monotonic() < end, self.asked
            page.wait_for_timeout(20)

    def answer(self, request: Request) -> Reply:
        """Ask the home."""
        connection = http.client.HTTPConnection(urlsplit(self.home).netloc, timeout=PATIENCE_S)
        try:
            connection.request(request.method, request.target, request.body, dict(request.headers))
            response = connection.getresponse()
            reply = Reply(response.status, response.getheaders(), (response.read(),))
        finally:
            connection.close()
        if request.target == self.held:
            self.asked += 1
            assert self.is_free.wait(PATIENCE_S)
        return reply


@contextmanager
def way_to(home: str, held: str) -> Iterator[Way]:
    """Open such a way until the block ends; nothing is held at first."""
    way = Way(home, held)
    way.is_free.set()
    server = Server(way.answer)
    way.address = server.address
    try:
        yield way
    finally:
        way.is_free.set()
        server.close()
