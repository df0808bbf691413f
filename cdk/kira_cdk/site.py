"""The files of the dashboard as they are served: what was built, and the two pages that describe the API."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from kira.web import docs
from kira.web.apps import build
from kira_cdk import layers

DASHBOARD = layers.PACKAGE / "local" / "dashboard"
# CloudFront compresses by itself, with Brotli and gzip as the browser likes: what lies compressed beside is for home.
COMPRESSED = (".br", ".gz")
DESCRIPTION, PAGE = "api/openapi.json", "api/docs"


def folder() -> Path:
    """Return the folder with everything that CloudFront serves from its bucket."""
    target = layers.BUILD / "site"
    shutil.rmtree(target, ignore_errors=True)
    for path in sorted(DASHBOARD.rglob("*")):
        place = path.relative_to(DASHBOARD)
        if path.is_file() and path.suffix not in COMPRESSED and not place.parts[0].startswith("."):
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / place)
    # A function knows only its own areas, so that the description of them all is a file here.
    description = build(None).openapi()
    (target / "api").mkdir(parents=True, exist_ok=True)
    (target / DESCRIPTION).write_text(json.dumps(description))
    (target / PAGE).write_text(docs.page(description))
    return target
