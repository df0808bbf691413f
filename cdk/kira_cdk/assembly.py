"""What the CDK wrote: templates in a folder, read without the CDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[2] / "build" / "cdk.out"
"""Where `cdk synth` writes, as cdk.json says."""


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the templates that lie in `folder`, by the name of their stack."""
    return {
        path.name.removesuffix(".template.json"): json.loads(path.read_text())
        for path in sorted(folder.glob("*.template.json"))
    }
