"""The environment of one computer: read once, refused when wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from kira.domain.accounts import AccountsMode
from kira.domain.errors import WrongSetting
from kira.domain.limits import DEFAULTS, DRAIN_SECONDS, Limit, parse_limit

SECRET = frozenset({"master_key", "password"})
"""Settings whose values are never printed."""

OFF_ALONE = frozenset({"api", "conversation", "widget"})
"""Limits that are off when Kira has one user and nobody set them."""


def data_folder() -> Path:
    """Return the platform's folder for the data of an application."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Kira"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Kira"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kira"


class LocalSettings(BaseModel):
    """Every setting of Kira on one computer; the description of each is its documentation."""

    # Plain pydantic: its settings package costs 0.15 s of every start.
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    data: Path = Field(default_factory=data_folder, description="Folder of the SQLite file, keys and snapshots.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    database: str = Field("sqlite", description="`sqlite`: one file in KIRA_DATA.")
    ollama: tuple[str, ...] = Field(
        ("http://127.0.0.1:11434",), description="Addresses of Ollama servers, separated by commas."
    )
    model: str | None = Field(None, description="Model of those who chose none; default: the first chat model.")
    slots: int | None = Field(None, ge=1, le=512, description="Most runs at once per model server; default: found out.")
    context: int | None = Field(
        None, ge=256, le=4_194_304, description="Context in tokens to ask Ollama for; default: what Ollama chose."
    )
    keep_alive: str | None = Field(None, description="How long Ollama keeps a model loaded, such as 30m or -1.")
    vram_mib: int | None = Field(
        None, ge=256, description="VRAM of the model server's card in MiB, if not this host's."
    )
    accounts: AccountsMode = Field(
        AccountsMode.OFF, description="`off`: one user; `invite`: accounts by invitation; `open`: anyone may sign up."
    )
    limit_api: str | None = Field(None, description="Requests of a user: `off` or count/period.")
    limit_conversation: str | None = Field(None, description="Messages of a user: `off` or count/period.")
    limit_subagent: str | None = Field(None, description="Sub-agents of a user: `off` or count/period.")
    limit_widget: str | None = Field(None, description="Widget refreshes of a user: `off` or count/period.")
    master_key: str | None = Field(
        None, repr=False, description="Signs tokens and seals secrets; default: made once and kept in KIRA_DATA."
    )
    grace_s: float = Field(
        DRAIN_SECONDS, ge=0, le=3600, description="Seconds that running answers may take to finish when Kira stops."
    )
    email: str | None = Field(None, description="E-mail that `kira chat` signs in with; default: asked for.")
    password: str | None = Field(
        None,
        repr=False,
        description="Password that `kira chat` signs in with and that `kira users add` gives; default: asked for.",
    )
    ollama_num_parallel: int | None = Field(
        None,
        ge=1,
        le=512,
        validation_alias="OLLAMA_NUM_PARALLEL",
        description="Ollama's own parallelism; believed when Ollama runs on this computer.",
    )

    @field_validator("ollama", mode="before")
    @classmethod
    def _addresses(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [part.strip().rstrip("/") for part in value.split(",") if part.strip()]
        for address in value:
            if not address.startswith(("http://", "https://")) or len(address) < 10:
                raise ValueError("write addresses such as http://127.0.0.1:11434, separated by commas")
        return tuple(value)

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value != "sqlite":
            raise ValueError("only `sqlite` is there in this version")
        return value

    @property
    def database_file(self) -> Path:
        """The file that holds everything but the master key."""
        return self.data / "kira.sqlite"

    def limits(self, *, alone: bool) -> dict[str, Limit]:
        """Return the limits that are on; `alone` when Kira has one user. Raises WrongSetting."""
        found = {}
        for name, standard in DEFAULTS.items():
            given: str | None = getattr(self, f"limit_{name}")
            text = given or ("off" if alone and name in OFF_ALONE else standard)
            limit = parse_limit(name, text)
            if limit is not None:
                found[name] = limit
        return found


def read(**options: object) -> LocalSettings:
    """Read the environment, with `options` of the command line in front.

    Raises WrongSetting with a sentence that names the setting and what it may be.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        settings = LocalSettings.model_validate(_environment() | given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        variable = _variable(name)
        value = first.get("input")
        shown = "" if name in SECRET else f" is {value!r}"
        message = first["msg"].removeprefix("Value error, ")
        raise WrongSetting(f"{variable}{shown}: {message[:1].lower()}{message[1:]}.") from None
    settings.limits(alone=True)
    return settings


def _environment() -> dict[str, str]:
    """Return the settings that the environment gives, by name; an empty value is none."""
    found = {}
    for name in LocalSettings.model_fields:
        if value := os.environ.get(_variable(name)):
            found[name] = value
    return found


def _variable(name: str) -> str:
    field = LocalSettings.model_fields.get(name)
    alias = field.validation_alias if field else None
    return alias if isinstance(alias, str) else f"KIRA_{name.upper()}"
