"""Kira's API beside the browser: another device of the same user."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.browser.rig import Home


class Api:
    """A client with a session of its own, once it signed in."""

    def __init__(self, home: Home) -> None:
        """Ask the Kira at `home`."""
        self._home = home
        self._token = ""

    def enter(self) -> Api:
        """Sign in as the one user."""
        return self._enter(*self._home.way_in)

    def sign_in(self, email: str, password: str) -> Api:
        """Sign in to an account."""
        return self._enter("/api/auth/sign-in", {"email": email, "password": password})

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return what a route answers; raises HTTPError for anything but a success."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self._home.at(path), data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or b"null")

    def end_other_sessions(self) -> None:
        """End every session of this user but this one."""
        for session in self.call("GET", "/api/auth/sessions")["items"]:
            if not session["current"]:
                self.call("DELETE", f"/api/auth/sessions/{session['id']}")

    def _enter(self, path: str, body: dict[str, str]) -> Api:
        self._token = self.call("POST", path, body)["access_token"]
        return self
