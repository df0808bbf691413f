"""Settings of a user: the default model, the system prompt and the theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kira.domain.accounts import wrong
from kira.domain.errors import Invalid
from kira.domain.limits import MODEL_NAME_CHARACTERS_MAX, SYSTEM_PROMPT_CHARACTERS_MAX
from kira.domain.texts import one_line, storable
from kira.ports.clock import Clock
from kira.ports.database import Database, Row
from kira.services.visits import Visit

Theme = Literal["system", "light", "dark"]


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What a user has chosen; without a `model` the home's default answers."""

    model: str | None = None
    system_prompt: str = ""
    theme: Theme = "system"


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What to change; None leaves the rest as it is, and a model may be given as None by `model_given`."""

    model: str | None = None
    model_given: bool = False
    system_prompt: str | None = None
    theme: Theme | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What users can do with their settings."""

    database: Database
    clock: Clock

    async def get(self, visit: Visit) -> UserSettings:
        """Return the user's settings, or the defaults where nothing was chosen."""
        rows = await visit.query("settings.read")
        return _settings_of(rows[0]) if rows else UserSettings()

    async def change(self, visit: Visit, change: SettingsChange) -> UserSettings:
        """Keep `change` and return all settings; raises Invalid for a value that is too long or no text."""
        params = {
            "model": _checked_model(change.model) if change.model is not None else None,
            "model_given": int(change.model_given),
            "system_prompt": _checked_prompt(change.system_prompt) if change.system_prompt is not None else None,
            "theme": change.theme,
            "now": self.clock.now(),
        }
        return _settings_of((await visit.query("settings.change", params))[0])


def _settings_of(row: Row) -> UserSettings:
    return UserSettings(row["model"], row["system_prompt"], row["theme"])


def _checked_model(text: str) -> str:
    try:
        return one_line(text, "The model's name", MODEL_NAME_CHARACTERS_MAX)
    except Invalid as found:
        raise wrong("model", found.message) from found


def _checked_prompt(text: str) -> str:
    if len(text) > SYSTEM_PROMPT_CHARACTERS_MAX:
        raise wrong("system_prompt", f"The system prompt is longer than {SYSTEM_PROMPT_CHARACTERS_MAX} characters.")
    try:
        return storable(text, "The system prompt")
    except Invalid as found:
        raise wrong("system_prompt", found.message) from found
