"""The built dashboard over HTTP: hashed files kept for a year, the page itself never."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from kira.domain.errors import NotFound
from kira.web.errors import answer

YEAR = "public, max-age=31536000, immutable"
ALWAYS_ASK = "no-cache"
TYPES = {".webmanifest": "application/manifest+json", ".js": "text/javascript", ".svg": "image/svg+xml"}
NOT_BUILT = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kira</title></head><body><main><h1>Kira runs'
    "</h1><p>The dashboard is not built yet. Type <code>make run</code> in the checkout, which builds it, or use the "
    'API: <a href="/api/docs">/api/docs</a>.</p></main></body></html>'
)


@dataclass(frozen=True, slots=True)
class File:
    """One file of the dashboard, in memory, with the encodings it has."""

    bodies: dict[str, bytes]
    type: str
    cache: str
    etag: str


class Dashboard:
    """Serves the files that lie in one folder when Kira starts, and no others: paths are only looked up."""

    def __init__(self, folder: Path) -> None:
        """Read all files of `folder` (about 1 MB)."""
        self._files = dict(_read(folder)) if (folder / "index.html").is_file() else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._response(scope)(scope, receive, send)

    def _response(self, scope: Scope) -> Response:
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD") or path.startswith(("/api/", "/assets/", "/icons/")):
            file = self._files.get(path) if scope["method"] in ("GET", "HEAD") else None
        else:
            # A path without a dot is a page of the dashboard, which finds its way itself.
            file = self._files.get(path) or (None if "." in path else self._files.get("/index.html"))
        if file is None:
            return HTMLResponse(NOT_BUILT) if path == "/" and not self._files else answer(NotFound())
        headers = Headers(scope=scope)
        common = {"cache-control": file.cache, "etag": file.etag, "vary": "accept-encoding"}
        if headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=common)
        accepted = headers.get("accept-encoding", "")
        encoding = next((name for name in ("br", "gzip") if name in accepted and name in file.bodies), "")
        if encoding:
            common["content-encoding"] = encoding
        return Response(file.bodies[encoding], media_type=file.type, headers=common)


def _read(folder: Path) -> list[tuple[str, File]]:
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".br", ".gz") or path.relative_to(folder).parts[0].startswith("."):
            continue
        name = "/" + path.relative_to(folder).as_posix()
        bodies = {"": path.read_bytes()}
        for suffix, encoding in ((".br", "br"), (".gz", "gzip")):
            packed = path.with_name(path.name + suffix)
            if packed.is_file():
                bodies[encoding] = packed.read_bytes()
        guessed = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        cache = YEAR if name.startswith("/assets/") else ALWAYS_ASK
        etag = f'"{hashlib.blake2b(bodies[""], digest_size=12).hexdigest()}"'
        found.append((name, File(bodies, guessed, cache, etag)))
    return found
