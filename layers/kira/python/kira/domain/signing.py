"""Signatures of requests to AWS (Signature Version 4): a function of the request, the moment and the key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs; `token` belongs to keys that are lent for a while."""

    key_id: str
    secret: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature counts."""

    service: str
    region: str

    def on(self, day: str) -> str:
        """Return the scope of one `day`, written 20261125."""
        return f"{day}/{self.region}/{self.service}/aws4_request"


def signed_headers(
    who: Credentials,
    scope: Scope,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    path: str = "/",
) -> dict[str, str]:
    """Return the headers of a POST of `body` to `path` (plain characters) of `host`, with its signature."""
    moment = _moment(now)
    told = {**headers, "host": host, "x-amz-date": moment}
    if who.token:
        told["x-amz-security-token"] = who.token
    names = ";".join(sorted(told))
    lines = "".join(f"{name}:{told[name]}\n" for name in sorted(told))
    request = f"POST\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    signature = _signature(who, scope, moment, request)
    credential = f"{who.key_id}/{scope.on(moment[:8])}"
    told["authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return told


def signed_query(
    who: Credentials, scope: Scope, host: str, query: Mapping[str, str], seconds: int, *, now: datetime
) -> str:
    """Return the query of a GET of the root of `host` that counts for `seconds`, with its signature."""
    moment = _moment(now)
    asked = {
        **query,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{who.key_id}/{scope.on(moment[:8])}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if who.token:
        asked["X-Amz-Security-Token"] = who.token
    line = "&".join(f"{quote(name, safe='')}={quote(asked[name], safe='')}" for name in sorted(asked))
    request = f"GET\n/\n{line}\nhost:{host}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    return f"{line}&X-Amz-Signature={_signature(who, scope, moment, request)}"


def _moment(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _signature(who: Credentials, scope: Scope, moment: str, request: str) -> str:
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{ALGORITHM}\n{moment}\n{scope.on(moment[:8])}\n{digest}"
    key = f"AWS4{who.secret}".encode()
    for part in scope.on(moment[:8]).split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
