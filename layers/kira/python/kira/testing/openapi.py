"""The OpenAPI document of all areas, as the dashboard's types are made from it.

`python -m kira.testing.openapi` writes it to `frontend/src/api/openapi.json`; `npm run api` makes the types.
"""

from __future__ import annotations

import json
from pathlib import Path

from kira.web.apps import build

TARGET = Path(__file__).parents[5] / "frontend" / "src" / "api" / "openapi.json"


def text() -> str:
    """Return the document as it stands in the file."""
    return json.dumps(build(None).openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
