"""What must not happen on any page: console errors, page errors, CSP violations, failed or foreign requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

TELL_VIOLATIONS = """
addEventListener('securitypolicyviolation', (e) =>
  console.error(`CSP violation: ${e.effectiveDirective} ${e.blockedURI} ${e.sample}`), true);
"""
BLOCKED_WORKER = "Service Worker registration blocked by Playwright"
# The browser itself notes every answer of 400 and more; the answer is judged where it arrives.
NOTED = re.compile(r"Failed to load resource: the server responded with a status of \d+")
NO_NETWORK = re.compile(
    "net::ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|"
    "INCOMPLETE_CHUNKED_ENCODING|FAILED)"
)


@dataclass
class Watch:
    """Collects problems of every page of the contexts it watches."""

    problems: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    is_offline: bool = False
    _allowed: list[tuple[int, str]] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch `context` from now on."""
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def allow(self, status: int, path: str) -> None:
        """Let `path` (a regular expression) answer `status`: the test is about that."""
        self._allowed.append((status, path))

    def _request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.problems.append(f"asked somebody else: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning") or NOTED.match(message.text) or message.text == BLOCKED_WORKER:
            return
        if not (self.is_offline and NO_NETWORK.search(message.text)):
            self.problems.append(f"console {message.type}: {message.text}")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"page error: {error.error}")

    def _failed(self, request: Request) -> None:
        why = request.failure or ""
        # A page that is left, or a search that is typed on, gives up its requests by itself.
        if why != "net::ERR_ABORTED" and not (self.is_offline and NO_NETWORK.search(why)):
            self.problems.append(f"request failed: {request.method} {request.url} {why}")

    def _response(self, response: Response) -> None:
        if response.status < 400:
            return
        for status, path in self._allowed:
            if response.status == status and re.search(path, response.url):
                return
        self.problems.append(f"{response.status}: {response.request.method} {response.url}")
