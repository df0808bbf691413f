"""Widgets and usage over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from kira.domain.widgets import Widget
from kira.services.usage import DayUsage
from kira.services.widgets import WidgetChange
from kira.web.areas import routes_of
from kira.web.schemas import DayUsageShown, NewWidget, PageShown, WidgetChangeGiven, WidgetShown
from kira.web.signed_in import KiraOf, Visitor, WidgetId

router = routes_of("widgets")


@router.get("/widgets", response_model=PageShown[WidgetShown])
async def list_widgets(kira: KiraOf, visit: Visitor) -> dict[str, list[Widget]]:
    """List the user's widgets in their order."""
    return {"items": await kira.widgets.all(visit)}


@router.post("/widgets", status_code=201, response_model=WidgetShown)
async def add_widget(kira: KiraOf, visit: Visitor, given: NewWidget) -> Widget:
    """Add a widget after the others."""
    change = WidgetChange(given.title, given.settings, None, given.width, given.height)
    return await kira.widgets.add(visit, given.kind, change)


@router.patch("/widgets/{widget_id}", response_model=WidgetShown)
async def change_widget(kira: KiraOf, visit: Visitor, widget_id: WidgetId, given: WidgetChangeGiven) -> Widget:
    """Change a widget's title, settings, place or size."""
    change = WidgetChange(given.title, given.settings, given.position, given.width, given.height)
    return await kira.widgets.change(visit, widget_id, change)


@router.delete("/widgets/{widget_id}", status_code=204)
async def remove_widget(kira: KiraOf, visit: Visitor, widget_id: WidgetId) -> None:
    """Remove a widget."""
    await kira.widgets.remove(visit, widget_id)


@router.post("/widgets/{widget_id}/refresh", response_model=WidgetShown)
async def refresh_widget(kira: KiraOf, visit: Visitor, widget_id: WidgetId) -> Widget:
    """Bring what a widget shows up to date."""
    return await kira.widgets.refresh(visit, widget_id)


@router.get("/usage", response_model=PageShown[DayUsageShown])
async def list_usage(
    kira: KiraOf, visit: Visitor, days: Annotated[int, Query(ge=1, le=366)] = 30
) -> dict[str, list[DayUsage]]:
    """List the user's runs and tokens by day and model, newest first."""
    return {"items": await kira.usages.by_day(visit, days)}
