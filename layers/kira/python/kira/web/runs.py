"""Runs over HTTP: where one stands, how to stop it, and which models there are."""

from __future__ import annotations

from kira.domain.runs import Run
from kira.ports.engine import Fleet
from kira.web.areas import routes_of
from kira.web.schemas import ModelsShown, RunOnlyShown, RunShown
from kira.web.signed_in import KiraOf, RunId, Visitor

router = routes_of("chat")


@router.get("/runs/{run_id}", response_model=RunShown)
async def get_run(kira: KiraOf, visit: Visitor, run_id: RunId) -> Run:
    """Return where a run stands."""
    return await kira.runs.one(visit, run_id)


@router.post("/runs/{run_id}/cancel", status_code=202, response_model=RunOnlyShown)
async def cancel_run(kira: KiraOf, visit: Visitor, run_id: RunId) -> dict[str, Run]:
    """Stop a run; what it has written so far is kept as the answer."""
    return {"run": await kira.runs.cancel(visit, run_id)}


@router.get("/models", response_model=ModelsShown)
async def list_models(kira: KiraOf, visit: Visitor) -> dict[str, object]:
    """List the models that can be chosen."""
    await visit.check()
    await kira.models.settled()
    fleet: Fleet = kira.models.fleet()
    return {
        "items": fleet.models,
        "default": fleet.default,
        "servers": fleet.servers,
        "advice": fleet.advice,
    }
