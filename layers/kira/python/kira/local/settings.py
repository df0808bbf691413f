"""The environment of one computer: read once, refused when wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from kira.domain.accounts import AccountsMode
from kira.domain.errors import WrongSetting
from kira.domain.limits import (
    BACKUPS_KEPT,
    DATABASE_CONNECTIONS_MAX,
    DEFAULTS,
    DRAIN_SECONDS,
    Limit,
    parse_limit,
    parse_period,
)
from kira.domain.moments import SECOND
from kira.local.remote_settings import RemoteSettings

SECRET = frozenset({"master_key", "password", "hosted_key"})
"""Settings whose values are never printed."""

ADDRESSES = frozenset({"mail", "database", "database_direct", "database_read", "stream"})
"""Settings whose values are not printed when they are addresses, which may hold a password."""

SERVERS, BUCKETS = ("postgresql://", "postgres://"), "s3://"
WEB, SMTP, REDIS = ("https://", "http://"), ("smtp://", "smtps://"), ("redis://", "rediss://", "unix://")
"""How addresses begin: of PostgreSQL servers, buckets, the web, mail servers and Redis."""

KNOWN: dict[str, tuple[tuple[str, ...], str]] = {
    "database": (
        ("sqlite", "embedded", *SERVERS),
        "`sqlite`, `embedded` or an address such as postgresql://kira_app:...@host/kira",
    ),
    "database_direct": (SERVERS, "an address such as postgresql://kira_app:...@host/kira"),
    "hosted": (WEB, "an address such as https://api.example.org/v1"),
    "mail": (("console", *SMTP), "`console` or an address such as smtp://user:...@host:587?from=kira@example.org"),
    "queue": (("table", *WEB), "`table` or the address of an SQS queue, https://sqs..."),
    "queue_hosted": (WEB, "the address of an SQS queue, https://sqs..."),
    "s3_endpoint": (WEB, "an address such as https://s3.example.org"),
    "stream": (("process", "table", *REDIS), "`process`, `table` or an address such as redis://127.0.0.1:6379"),
}
"""What a setting may be, or begin with, and how that is told."""

OFF_ALONE = frozenset({"api", "conversation", "widget"})
"""Limits that are off when Kira has one user and nobody set them."""


def data_folder() -> Path:
    """Return the platform's folder for the data of an application."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Kira"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Kira"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kira"


class LocalSettings(RemoteSettings):
    """Every setting of Kira on one computer; the description of each is its documentation."""

    # Plain pydantic: its settings package costs 0.15 s of every start.
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    data: Path = Field(default_factory=data_folder, description="Folder of the SQLite file, keys and snapshots.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    database: str = Field(
        "sqlite",
        repr=False,
        description="`sqlite`: one file in KIRA_DATA; `embedded`: a PostgreSQL of its own there; or the address that "
        "`kira db init` prints, `postgresql://...`.",
    )
    database_direct: str | None = Field(
        None,
        repr=False,
        description="Address of the same PostgreSQL past a pooler, for wake-ups; default: KIRA_DATABASE.",
    )
    database_read: str | None = Field(
        None,
        repr=False,
        description="Address of a replica of KIRA_DATABASE, for conversation lists, search and usage; every process on "
        "the database needs it, workers too. Default: KIRA_DATABASE answers everything.",
    )
    database_connections: int = Field(
        DATABASE_CONNECTIONS_MAX, ge=1, le=1000, description="Most connections of this process to PostgreSQL."
    )
    backup: str | None = Field(
        None,
        description="Where backups go: a folder, or `s3://bucket/prefix` with credentials in AWS_*; "
        "default: `backups` in KIRA_DATA.",
    )
    backup_every: int | None = Field(
        None,
        description="How often a backup is made by itself: `off`, or a period such as `6h` or `1d`; default: `off`.",
    )
    backup_keep: int = Field(
        BACKUPS_KEPT, ge=1, le=10_000, description="How many backups that were made by themselves are kept."
    )
    s3_endpoint: str | None = Field(
        None, description="Address of an S3 server other than AWS, such as MinIO or Garage."
    )
    checkpoints: Literal["kira", "litestream"] = Field(
        "kira", description="Who writes SQLite's journal into the file: `kira`, or `litestream`, which copies it first."
    )
    stream: str | None = Field(
        None,
        repr=False,
        description="How words get from worker to reader: `process`, `table` (the database) or `redis://host:port`; "
        "default: `table` where another process works, else `process`.",
    )
    queue: str = Field(
        "table",
        description="How workers hear of waiting runs: `table` (the database), or the address of an SQS queue that "
        "every process on the database has, `https://sqs...`, with credentials in AWS_* or from the host.",
    )
    mail: str | None = Field(
        None,
        repr=False,
        description="How invitations are mailed: `console`, or `smtp(s)://user:password@host?from=...`; default: not.",
    )
    queue_hosted: str | None = Field(
        None, description="Address of the SQS queue for runs of KIRA_HOSTED_MODELS; default: KIRA_QUEUE."
    )
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
    proxies: str | None = Field(
        None,
        description="Addresses of proxies in front of Kira, separated by commas; they are believed about who asks.",
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
            if not address.startswith(WEB) or len(address) < 10:
                raise ValueError("write addresses such as http://127.0.0.1:11434, separated by commas")
        return tuple(value)

    @field_validator("backup_every", mode="before")
    @classmethod
    def _period(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, int) else _seconds(str(value))

    @field_validator("backup")
    @classmethod
    def _known_backup(cls, value: str | None) -> str | None:
        if value and "://" in value and not (value.startswith(BUCKETS) and value.removeprefix(BUCKETS).strip("/")):
            raise ValueError("write a folder or an address such as s3://bucket/prefix")
        return value

    @field_validator(*KNOWN)
    @classmethod
    def _known(cls, value: str | None, info: ValidationInfo) -> str | None:
        begins, told = KNOWN[str(info.field_name)]
        if value and not any(value.startswith(each) if each.endswith("://") else value == each for each in begins):
            raise ValueError(f"write {told}")
        return value

    @field_validator("database_read")
    @classmethod
    def _known_replica(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and not value.startswith(SERVERS):
            raise ValueError("write an address such as postgresql://kira_app:...@replica/kira")
        if value and not info.data.get("database", "").startswith(SERVERS):
            raise ValueError("a replica needs the address of its server in KIRA_DATABASE")
        return value

    @property
    def uses_file(self) -> bool:
        """Say whether everything lies in one SQLite file."""
        return self.database == "sqlite"

    @property
    def uses_sqs(self) -> bool:
        """Say whether hints of waiting runs go through SQS."""
        return self.queue != "table"

    @property
    def database_file(self) -> Path:
        """The file that holds everything but the master key."""
        return self.data / "kira.sqlite"

    @property
    def folds_journal(self) -> bool:
        """Say whether Kira may write the journal into the file; with Litestream only Litestream does."""
        return self.checkpoints == "kira"

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
        hidden = name in SECRET or (name in ADDRESSES and "://" in str(value))
        shown = "" if hidden else f" is {value!r}"
        message = first["msg"].removeprefix("Value error, ")
        raise WrongSetting(f"{variable}{shown}: {message[:1].lower()}{message[1:]}.") from None
    settings.limits(alone=True)
    _check_file_settings(settings)
    if settings.hosted and not settings.hosted_models:
        raise WrongSetting("KIRA_HOSTED_MODELS is missing: name the models of KIRA_HOSTED, separated by commas.")
    return settings


def _check_file_settings(settings: LocalSettings) -> None:
    """Refuse what is only done to a file where there is none; a server that nobody backs up is found out too late."""
    if settings.uses_file:
        return
    told = "works on the SQLite file, but KIRA_DATABASE is PostgreSQL, which has backups of its own"
    for name, given in (("backup_every", settings.backup_every), ("checkpoints", not settings.folds_journal)):
        if given:
            raise WrongSetting(f"{_variable(name)} {told}: pg_dump, or what its host offers. Take the setting away.")


def _seconds(text: str) -> int | None:
    period = parse_period(text)
    if period == 0:
        raise ValueError("write off, or a period such as 6h or 1d")
    return period and period // SECOND


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
