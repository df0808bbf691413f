"""A function that does what its event says."""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any

COUNTED: list[str] = []


def handler(event: dict[str, Any], context: Any) -> Any:
    """Do `event["do"]`."""
    COUNTED.append(context.aws_request_id)
    return DOING[event.get("do", "tell")](event, context)


def _tell(event: dict[str, Any], context: Any) -> dict[str, Any]:
    left = context.get_remaining_time_in_millis()
    return {"pid": os.getpid(), "count": len(COUNTED), "left": left, "arn": context.invoked_function_arn}


def _raise(event: dict[str, Any], context: Any) -> None:
    raise ValueError("as it was asked")


DOING = {
    "big": lambda event, context: "x" * event["bytes"],
    "environment": lambda event, context: dict(os.environ),
    "exit": lambda event, context: os._exit(3),
    "import": lambda event, context: importlib.import_module(event["name"]).__file__,
    "paths": lambda event, context: sys.path,
    "raise": _raise,
    "sleep": lambda event, context: time.sleep(event["seconds"]),
    "tell": _tell,
}
