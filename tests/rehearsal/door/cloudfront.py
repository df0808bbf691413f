"""A CloudFront distribution made of the template: one address for the dashboard, the API and the streams."""

from __future__ import annotations

import re
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.door.behaviours import Behaviour, behaviours
from tests.rehearsal.door.edge_functions import EdgeFunctions
from tests.rehearsal.serving import Headers, Reply, Request

COMPRESSED_BYTES = range(1000, 10_000_000)
COMPRESSED = re.compile(r"text/.*|application/(javascript|json|manifest\+json|xml)|image/svg\+xml")


class Origin(Protocol):
    """Where a behaviour leads."""

    def answer(self, request: Request) -> Reply:
        """Answer a request."""


class Distribution:
    """Answers viewers; `origins` are by the first word of their domains."""

    def __init__(self, deployed: Deployed, config: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
        """Read its behaviours."""
        self._behaviours = behaviours(deployed, config)
        self._root = config.get("DefaultRootObject", "")
        self._edge = EdgeFunctions()
        self._kept = Kept()
        self._origins = {
            each["Id"]: (origins[each["DomainName"].partition(".")[0]], each) for each in config["Origins"]
        }
        self._errors = {int(each["ErrorCode"]): each for each in config.get("CustomErrorResponses", [])}

    def close(self) -> None:
        """End what was started."""
        self._edge.close()

    def answer(self, request: Request) -> Reply:
        """Answer a viewer."""
        path = urlsplit(request.target).path
        behaviour = next(each for each in self._behaviours if each.fits(path))
        if request.method not in behaviour.methods:
            reply = Reply(403, [("Content-Type", "text/html")], (b"This distribution does not allow the method.",))
        else:
            reply = self._from_origin(behaviour, request)
        headers = behaviour.policy.over(reply.headers) if behaviour.policy else reply.headers
        return replace(reply, headers=headers)

    def _from_origin(self, behaviour: Behaviour, request: Request) -> Reply:
        asked: Request | Reply = request
        if code := behaviour.functions.get("viewer-request"):
            asked = self._edge.on_request(code, request)
        if isinstance(asked, Reply):
            return asked
        reply = self._kept.get(behaviour, asked) or self._asked(behaviour, asked)
        if code := behaviour.functions.get("viewer-response"):
            reply = self._edge.on_response(code, asked, reply)
        return _compressed(behaviour, request, _unchanged(request, reply))

    def _asked(self, behaviour: Behaviour, request: Request) -> Reply:
        address = urlsplit(request.target)
        path = f"/{self._root}" if address.path == "/" and self._root else address.path
        query = (
            f"?{address.query}" if address.query and (behaviour.passes != "none" or behaviour.keeping.has_query) else ""
        )
        origin, said = self._origins[behaviour.origin]
        headers = behaviour.passed_on(request)
        headers += [(each["HeaderName"], each["HeaderValue"]) for each in said.get("OriginCustomHeaders", [])]
        headers += [("Host", said["DomainName"])]
        target = said.get("OriginPath", "") + path + query
        reply = origin.answer(Request(request.method, target, headers, request.body, request.client))
        if error := self._errors.get(reply.status):
            reply = self._instead(behaviour, request, error, reply)
        self._kept.put(behaviour, request, reply)
        return reply

    def _instead(self, behaviour: Behaviour, request: Request, error: Mapping[str, Any], reply: Reply) -> Reply:
        """Answer with the page that the distribution has for an error."""
        if "ResponsePagePath" not in error:
            return reply
        origin, _ = self._origins[self._behaviours[-1].origin]
        page = origin.answer(Request("GET", error["ResponsePagePath"], [], b"", request.client))
        return replace(page, status=int(error.get("ResponseCode", reply.status)))


class Kept:
    """What the edge keeps: what may be kept, for as long as it says."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._replies: dict[object, tuple[float, Reply]] = {}
        self._guard = threading.Lock()

    def get(self, behaviour: Behaviour, request: Request) -> Reply | None:
        """Return what is kept and still good."""
        with self._guard:
            until, reply = self._replies.get(_key(behaviour, request), (0.0, None))
        return reply if time.monotonic() < until else None

    def put(self, behaviour: Behaviour, request: Request, reply: Reply) -> None:
        """Keep what may be kept."""
        seconds = _seconds(behaviour, reply)
        if request.method == "GET" and reply.status == 200 and reply.whole is not None and seconds > 0:
            with self._guard:
                self._replies[_key(behaviour, request)] = (time.monotonic() + seconds, reply)


def _seconds(behaviour: Behaviour, reply: Reply) -> int:
    if behaviour.keeping.seconds is None:
        return 0
    said = next((value for name, value in reply.headers if name.lower() == "cache-control"), "")
    if re.search(r"no-store|no-cache|private", said):
        return 0
    found = re.search(r"s-maxage=(\d+)", said) or re.search(r"max-age=(\d+)", said)
    return int(found[1]) if found else behaviour.keeping.seconds


def _key(behaviour: Behaviour, request: Request) -> object:
    address, headers, keeping = urlsplit(request.target), request.by_name, behaviour.keeping
    by = tuple(headers.get(name, "") for name in sorted(keeping.headers))
    cookies = headers.get("cookie", "") if keeping.has_cookies else ""
    return request.method, address.path, address.query if keeping.has_query else "", by, cookies


def _unchanged(request: Request, reply: Reply) -> Reply:
    """Answer that a viewer has it already."""
    tag = next((value for name, value in reply.headers if name.lower() == "etag"), None)
    if reply.status == 200 and tag and request.by_name.get("if-none-match") == tag:
        return Reply(304, reply.headers, ())
    return reply


def _compressed(behaviour: Behaviour, request: Request, reply: Reply) -> Reply:
    """Compress as the edge does; what came compressed or in pieces stays as it is."""
    names: Headers = [(name.lower(), value) for name, value in reply.headers]
    told, whole = dict(names), reply.whole
    wanted = behaviour.compresses and behaviour.keeping.seconds is not None and whole is not None
    if not wanted or "content-encoding" in told or "gzip" not in request.by_name.get("accept-encoding", ""):
        return reply
    kind = told.get("content-type", "").partition(";")[0]
    if whole is None or len(whole) not in COMPRESSED_BYTES or not COMPRESSED.fullmatch(kind):
        return reply
    packer = zlib.compressobj(wbits=31)
    data = packer.compress(whole) + packer.flush()
    return replace(
        reply, headers=[*reply.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")], pieces=(data,)
    )
