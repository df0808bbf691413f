"""Health: whether Kira is ready, for people and load balancers."""

from __future__ import annotations

from fastapi import Request

from kira import __version__
from kira.domain.errors import Unavailable
from kira.web.areas import routes_of
from kira.web.schemas import HealthShown

router = routes_of("health")


@router.get("/health", response_model=HealthShown)
async def get_health(request: Request) -> dict[str, str]:
    """Say whether Kira is ready; 503 with the reason while it starts or stops."""
    reason: str | None = getattr(request.app.state, "unready", None)
    if reason:
        raise Unavailable(reason, retry_after_s=1)
    return {"status": "ok", "version": __version__}
