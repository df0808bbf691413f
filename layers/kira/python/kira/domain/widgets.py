"""Widgets: small live pieces that a user arranges in a grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kira.domain.errors import Invalid
from kira.domain.limits import NOTE_CHARACTERS_MAX
from kira.domain.texts import storable

SIDE_MAX = 4  # columns of the grid


class WidgetKind(StrEnum):
    """What a widget shows."""

    CLOCK = "clock"
    NOTE = "note"
    USAGE = "usage"
    QUEUE = "queue"
    RECENT = "recent"


TITLES = {
    WidgetKind.CLOCK: "Clock",
    WidgetKind.NOTE: "Note",
    WidgetKind.USAGE: "Usage",
    WidgetKind.QUEUE: "Queue",
    WidgetKind.RECENT: "Recent conversations",
}

SETTINGS = {
    WidgetKind.CLOCK: {"timezone": 64},
    WidgetKind.NOTE: {"text": NOTE_CHARACTERS_MAX},
    WidgetKind.USAGE: {},
    WidgetKind.QUEUE: {},
    WidgetKind.RECENT: {},
}
"""The settings of each kind: name and most characters."""


@dataclass(frozen=True, slots=True)
class Widget:
    """One widget; `width` and `height` in cells of the grid, times in microseconds."""

    id: str
    kind: WidgetKind
    title: str
    position: int
    width: int
    height: int
    created_at: int
    settings: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] | None = None
    refreshed_at: int | None = None


def checked_settings(kind: WidgetKind, settings: dict[str, Any]) -> dict[str, str]:
    """Return `settings` when they are those of `kind`; raises Invalid."""
    known = SETTINGS[kind]
    checked = {}
    for name, value in settings.items():
        if name not in known or not isinstance(value, str):
            raise Invalid(f"A {kind} widget has no setting called {name[:40]!r} with such a value.")
        if len(value) > known[name]:
            raise Invalid(f"The setting {name} is longer than {known[name]} characters.")
        checked[name] = storable(value, f"The setting {name}")
    return checked
