"""Lifecycle hooks of a group, which moto does not know: an instance says that it is not done yet, or that it is."""

from __future__ import annotations

from tests.rehearsal.cloud.calls import Asked
from tests.rehearsal.serving import Reply

ACTIONS = ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat")


def hooked(asked: Asked) -> Reply | None:
    """Answer a call that is one of them."""
    action = asked.form.get("Action") if asked.scope[1] == "autoscaling" else None
    if action not in ACTIONS:
        return None
    return Reply(
        200, [("Content-Type", "text/xml")], (f"<{action}Response><{action}Result/></{action}Response>".encode(),)
    )
