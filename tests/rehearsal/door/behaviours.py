"""The behaviours of a distribution: which paths go where, and what of a request is passed on and kept."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.policies import NotRehearsed
from tests.rehearsal.door.headers_policy import HeadersPolicy
from tests.rehearsal.serving import Headers, Request

CACHING = {
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": None,  # CachingDisabled
    "658327ea-f89d-4fab-a63d-7e88639e58f6": 86400,  # CachingOptimized
}
"""The managed cache policies, with the seconds that an answer is kept which says nothing of that."""
ALL_BUT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
ALL = "216adef6-5c7f-47e4-b989-5492eafa07d3"


@dataclass(frozen=True)
class Keeping:
    """What a cache policy says: for how long, and by what besides the path."""

    seconds: int | None
    headers: frozenset[str] = frozenset()
    has_query: bool = False
    has_cookies: bool = False


@dataclass(frozen=True)
class Behaviour:
    """One behaviour of the template."""

    pattern: str
    origin: str
    methods: frozenset[str]
    keeping: Keeping
    passes: str
    """Which of the viewer's headers, cookies and query go on: none, all, or all but the host."""
    policy: HeadersPolicy | None
    functions: Mapping[str, str]
    """Code of the functions by the event."""
    compresses: bool

    def fits(self, path: str) -> bool:
        """Say whether the path is of this behaviour."""
        pattern = "/" + self.pattern.removeprefix("/")
        return self.pattern == "*" or re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), path) is not None

    def passed_on(self, request: Request) -> Headers:
        """Return which headers the origin gets; the client's address and the sort of client are always told."""
        told = [("X-Forwarded-For", request.client), ("Via", "1.1 rehearsal.cloudfront.net (CloudFront)")]
        if self.passes == "none":
            kept = [each for each in request.headers if each[0].lower() in self.keeping.headers]
            return [*kept, ("User-Agent", "Amazon CloudFront"), *told]
        return [each for each in request.headers if each[0].lower() not in ("host", "connection")] + told


def behaviours(deployed: Deployed, config: Mapping[str, Any]) -> list[Behaviour]:
    """Return the behaviours of a distribution in their order, the default last."""
    read = _Reader(deployed)
    found = [read.behaviour(each["PathPattern"], each) for each in config.get("CacheBehaviors", [])]
    return [*found, read.behaviour("*", config["DefaultCacheBehavior"])]


class _Reader:
    def __init__(self, deployed: Deployed) -> None:
        self._policies = {
            name: HeadersPolicy(each["ResponseHeadersPolicyConfig"])
            for name, each in _of_type(deployed, "AWS::CloudFront::ResponseHeadersPolicy", None).items()
        }
        self._functions = {
            name: str(each["FunctionCode"])
            for name, each in _of_type(deployed, "AWS::CloudFront::Function", "FunctionARN").items()
        }
        self._caches = _of_type(deployed, "AWS::CloudFront::CachePolicy", None)
        self._requests = _of_type(deployed, "AWS::CloudFront::OriginRequestPolicy", None)

    def behaviour(self, pattern: str, said: Mapping[str, Any]) -> Behaviour:
        """Read one."""
        named = said.get("ResponseHeadersPolicyId")
        functions = said.get("FunctionAssociations", [])
        if said.get("LambdaFunctionAssociations"):
            raise NotRehearsed("a function of Lambda@Edge")
        return Behaviour(
            pattern,
            said["TargetOriginId"],
            frozenset(said.get("AllowedMethods", ["GET", "HEAD"])),
            self._keeping(said["CachePolicyId"]),
            self._passes(said.get("OriginRequestPolicyId")),
            self._policies[named] if named else None,
            {each["EventType"]: self._functions[each["FunctionARN"]] for each in functions},
            str(said.get("Compress", False)).lower() == "true",
        )

    def _keeping(self, name: str) -> Keeping:
        if name in CACHING:
            return Keeping(CACHING[name])
        config = self._caches[name]["CachePolicyConfig"]
        keys = config["ParametersInCacheKeyAndForwardedToOrigin"]
        if config.get("MaxTTL") == 0:
            return Keeping(None)
        headers = keys["HeadersConfig"].get("Headers", [])
        return Keeping(
            int(config["DefaultTTL"]),
            frozenset(each.lower() for each in headers),
            keys["QueryStringsConfig"]["QueryStringBehavior"] != "none",
            keys["CookiesConfig"]["CookieBehavior"] != "none",
        )

    def _passes(self, name: str | None) -> str:
        if name is None:
            return "none"
        if name in (ALL_BUT_HOST, ALL):
            return "all but host" if name == ALL_BUT_HOST else "all"
        kind = self._requests[name]["OriginRequestPolicyConfig"]["HeadersConfig"]["HeaderBehavior"]
        if kind not in ("allViewer", "none"):
            raise NotRehearsed(f"an origin request policy with the headers {kind}")
        return "all" if kind == "allViewer" else "none"


def _of_type(deployed: Deployed, name: str, attribute: str | None) -> dict[str, dict[str, Any]]:
    values = deployed.values
    return {
        str(values.told.get(((stack.name, logical), attribute), logical)): values.of(stack, properties)
        for stack, logical, properties in deployed.assembly.of_type(name)
    }
