"""Widgets: arrange them, and refresh what they show, each at most once at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kira.domain import texts
from kira.domain.errors import Conflict, NotFound
from kira.domain.ids import new_id
from kira.domain.limits import TITLE_CHARACTERS_MAX, WIDGET_FRESH_SECONDS, WIDGETS_PER_USER_MAX, Limit
from kira.domain.moments import SECOND, to_text
from kira.domain.widgets import TITLES, Widget, WidgetKind, checked_settings
from kira.ports.clock import Clock
from kira.ports.database import Call, NoRow, Row
from kira.ports.queue import Queue
from kira.services.models import Models
from kira.services.usage import Usages
from kira.services.visits import Visit
from kira.services.waiting import Line

USAGE_DAYS = 14
RECENT_ITEMS = 8
REFRESH_SECONDS_MAX = 10
"""After so long another may make what a widget shows: whoever began is gone."""
LOOK_SECONDS = 0.05
"""How often those who wait look whether it was made."""


@dataclass(frozen=True, slots=True)
class WidgetChange:
    """What is to change; None leaves a field as it is."""

    title: str | None = None
    settings: dict[str, Any] | None = None
    position: int | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Widgets:
    """What users do with their widgets."""

    clock: Clock
    queue: Queue
    models: Models
    usages: Usages
    line: Line
    limit: Limit | None

    async def all(self, visit: Visit) -> list[Widget]:
        """Return the user's widgets in their order."""
        return [_widget(row) for row in await visit.query("widgets.all")]

    async def add(self, visit: Visit, kind: WidgetKind, change: WidgetChange) -> Widget:
        """Add a widget at the end; raises Conflict when there are WIDGETS_PER_USER_MAX already."""
        widget_id, now = new_id(), self.clock.now()
        title = texts.one_line(change.title or TITLES[kind], "The title", TITLE_CHARACTERS_MAX)
        params = {
            "widget_id": widget_id,
            "kind": kind,
            "title": title,
            "settings": json.dumps(checked_settings(kind, change.settings or {})),
            "width": change.width or 1,
            "height": change.height or 1,
            "widgets_max": WIDGETS_PER_USER_MAX,
            "now": now,
        }
        added, found = await visit.run([Call("widgets.add", params), Call("widgets.one", {"widget_id": widget_id})])
        if not added.changes:
            raise Conflict(f"You have {WIDGETS_PER_USER_MAX} widgets. Remove one to add another.")
        return _widget(found.rows[0])

    async def change(self, visit: Visit, widget_id: str, change: WidgetChange) -> Widget:
        """Change a widget; a new position moves the others up or down. Raises NotFound."""
        async with visit.transaction() as rows:
            widgets = [_widget(row) for row in await rows.query("widgets.all")]
            now = next((widget for widget in widgets if widget.id == widget_id), None)
            if now is None:
                raise NotFound
            settings = now.settings if change.settings is None else checked_settings(now.kind, change.settings)
            title = now.title if change.title is None else change.title
            params = {
                "widget_id": widget_id,
                "title": texts.one_line(title, "The title", TITLE_CHARACTERS_MAX),
                "settings": json.dumps(settings),
                "width": change.width or now.width,
                "height": change.height or now.height,
            }
            await rows.execute("widgets.change", params)
            if change.position is not None:
                order = [widget.id for widget in widgets if widget.id != widget_id]
                order.insert(change.position, widget_id)
                for position, moved_id in enumerate(order):
                    await rows.execute("widgets.move", {"widget_id": moved_id, "position": position})
            return _widget((await rows.query("widgets.one", {"widget_id": widget_id}))[0])

    async def remove(self, visit: Visit, widget_id: str) -> None:
        """Remove a widget; raises NotFound."""
        if not await visit.execute("widgets.remove", {"widget_id": widget_id}):
            raise NotFound

    async def refresh(self, visit: Visit, widget_id: str) -> Widget:
        """Bring a widget up to date; whoever asks meanwhile, on any instance, gets what one of them makes.

        A fresh one is not made again and takes nothing from the limit. Raises NotFound and RateLimited.
        """
        while True:
            row = _only(await visit.query("widgets.one", {"widget_id": widget_id}))
            widget, now = _widget(row), self.clock.now()
            stale, until = now - WIDGET_FRESH_SECONDS * SECOND, now + REFRESH_SECONDS_MAX * SECOND
            if widget.refreshed_at is not None and widget.refreshed_at > stale:
                return widget
            if (row["refreshing_until"] or 0) <= now and await self._is_mine(visit, widget_id, stale, until):
                return await self._refreshed(visit, widget, until)
            await asyncio.sleep(LOOK_SECONDS)

    async def _is_mine(self, visit: Visit, widget_id: str, stale: int, until: int) -> bool:
        params = {"widget_id": widget_id, "stale": stale, "now": self.clock.now(), "until": until}
        try:
            await visit.run([], limit=self.limit, first=[Call("widgets.refreshing", params, must=True)])
        except NoRow:
            return False
        return True

    async def _refreshed(self, visit: Visit, widget: Widget, until: int) -> Widget:
        try:
            content = await self._content(visit, widget)
        except BaseException:
            await visit.execute("widgets.given_up", {"widget_id": widget.id, "until": until})
            raise
        params = {"widget_id": widget.id, "content": json.dumps(content), "now": self.clock.now()}
        _, found = await visit.run([Call("widgets.refreshed", params), Call("widgets.one", {"widget_id": widget.id})])
        return _widget(_only(found.rows))

    async def _content(self, visit: Visit, widget: Widget) -> dict[str, Any]:
        if widget.kind is WidgetKind.USAGE:
            return {"days": [asdict(day) for day in await self.usages.by_day(visit, USAGE_DAYS)]}
        if widget.kind is WidgetKind.QUEUE:
            return await self._queue_content(visit)
        if widget.kind is WidgetKind.RECENT:
            rows = await visit.look("conversations.page", {"items": RECENT_ITEMS})
            named = [{"id": row["id"], "title": row["title"], "updated_at": to_text(row["updated_at"])} for row in rows]
            return {"items": named}
        return {}

    async def _queue_content(self, visit: Visit) -> dict[str, Any]:
        """Return slots and places; other users appear as numbers only."""
        await self.models.settled()
        fleet = self.models.fleet()
        places = await self.queue.places()
        return {
            "slots": fleet.slots,
            "running": sum(server.running for server in fleet.servers),
            "waiting": len(places),
            "mine_waiting": sum(place.user_id == visit.user_id for place in places),
            "wait_s": self.line.wait_s(len(places) + 1),
            "servers": [asdict(server) for server in fleet.servers],
            "advice": fleet.advice,
        }


def _only(rows: Sequence[Row]) -> Row:
    if not rows:
        raise NotFound
    return rows[0]


def _widget(row: Row) -> Widget:
    return Widget(
        id=row["id"],
        kind=WidgetKind(row["kind"]),
        title=row["title"],
        position=row["position"],
        width=row["width"],
        height=row["height"],
        created_at=row["created_at"],
        settings=json.loads(row["settings"]),
        content=json.loads(row["content"]) if row["content"] else None,
        refreshed_at=row["refreshed_at"],
    )
