"""The response headers policy of a behaviour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.rehearsal.serving import Headers

NAMES = {
    "ContentSecurityPolicy": "Content-Security-Policy",
    "ContentTypeOptions": "X-Content-Type-Options",
    "FrameOptions": "X-Frame-Options",
    "ReferrerPolicy": "Referrer-Policy",
    "StrictTransportSecurity": "Strict-Transport-Security",
    "XSSProtection": "X-XSS-Protection",
}
"""How the template calls a header of security, and how a browser does."""


class HeadersPolicy:
    """What CloudFront adds to an answer, replaces in it, and takes from it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Read a `ResponseHeadersPolicyConfig`."""
        self._set = dict(_security(config.get("SecurityHeadersConfig", {})))
        for item in config.get("CustomHeadersConfig", {}).get("Items", []):
            self._set[item["Header"]] = (str(item["Value"]), _true(item["Override"]))
        removed = config.get("RemoveHeadersConfig", {}).get("Items", [])
        self._removed = {item["Header"].lower() for item in removed}

    def over(self, headers: Headers) -> Headers:
        """Return the headers as a viewer gets them."""
        present = {name.lower() for name, _ in headers}
        given = {name: value for name, (value, wins) in self._set.items() if wins or name.lower() not in present}
        gone = self._removed | {name.lower() for name in given}
        return [(name, value) for name, value in headers if name.lower() not in gone] + list(given.items())


def _security(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, bool]]]:
    for kind, each in config.items():
        yield NAMES[kind], (_value(kind, each), _true(each["Override"]))


def _value(kind: str, each: Mapping[str, Any]) -> str:
    if kind == "StrictTransportSecurity":
        return _transport(each)
    if kind == "ContentTypeOptions":
        return "nosniff"
    if kind == "XSSProtection":
        return "1; mode=block" if _true(each.get("ModeBlock")) else "1"
    return str(each[{"FrameOptions": "FrameOption"}.get(kind, kind)])


def _transport(each: Mapping[str, Any]) -> str:
    text = f"max-age={each['AccessControlMaxAgeSec']}"
    if _true(each.get("IncludeSubdomains")):
        text += "; includeSubDomains"
    return text + ("; preload" if _true(each.get("Preload")) else "")


def _true(value: object) -> bool:
    return str(value).lower() == "true"
