"""Metrics in Prometheus' text format, for this computer or an admin."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials
from starlette.responses import PlainTextResponse, Response

from kira.services.kira import Kira
from kira.web.areas import routes_of
from kira.web.signed_in import KiraOf, admin_of, bearer, visit_of

router = routes_of("health", prefix="")

TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses=TEXT)
async def get_metrics(
    kira: KiraOf, request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Response:
    """Return counts: slots, running and waiting runs, open streams, answers by status. Never contents."""
    if given is not None or not _is_loopback(request):
        await admin_of(await visit_of(request, given))
    return PlainTextResponse(_text(kira, request), media_type="text/plain; version=0.0.4")


def _is_loopback(request: Request) -> bool:
    # A proxy on this computer would make the whole world look local; it says so in a header.
    if request.client is None or "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _text(kira: Kira, request: Request) -> str:
    fleet = kira.models.fleet()
    gauges = {
        "kira_slots": ("Runs that can go at once.", fleet.slots),
        "kira_runs_running": ("Runs that are going.", sum(server.running for server in fleet.servers)),
        "kira_runs_waiting": ("Runs that wait.", kira.line.waiting),
        "kira_run_seconds": ("Smoothed duration of a run.", round(kira.line.service_s, 3)),
        "kira_streams_open": ("Open event streams.", kira.seats.total),
    }
    lines = [f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}" for name, (text, value) in gauges.items()]
    lines.append("# HELP kira_answers_total HTTP answers by status.\n# TYPE kira_answers_total counter")
    lines.append("# HELP kira_statements_total SQL statements.\n# TYPE kira_statements_total counter")
    lines.append(f"kira_statements_total {kira.world.database.executed}")
    answered = getattr(request.app.state, "answered", {})
    lines += [f'kira_answers_total{{status="{status}"}} {count}' for status, count in sorted(answered.items())]
    return "\n".join(lines) + "\n"
