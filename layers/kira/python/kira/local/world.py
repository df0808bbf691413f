"""Local: which adapter keeps each promise on one computer."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kira.adapters.clock.system import SystemClock
from kira.adapters.queue.table import TableQueue
from kira.adapters.vault.keyfile import Seal, no_seal, open_vault
from kira.domain.errors import WrongSetting
from kira.domain.limits import HINT_LOOK_SECONDS
from kira.jobs.hands import process_name
from kira.jobs.worker import POLL_SECONDS
from kira.local.settings import BUCKETS, LocalSettings
from kira.ports.database import Database
from kira.ports.engine import Engine
from kira.ports.queue import Queue
from kira.ports.stream import Stream
from kira.ports.vault import Vault
from kira.services.findings import Findings
from kira.services.waiting import Line

if TYPE_CHECKING:
    from kira.adapters.alarm.timer import TimerAlarm
    from kira.adapters.engine.bell import Bell
    from kira.adapters.engine.ollama import OllamaConfig
    from kira.adapters.stream.wire import Wire
    from kira.adapters.stream.wired import WiredStream
    from kira.local.backups.schedule import Schedule
    from kira.local.postgres import Postgres
    from kira.ports.host import Host
    from kira.ports.roster import Roster
    from kira.ports.shelf import Shelf
    from kira.services.letters import Letters


POOLED_SECONDS = 0.2


class Local:
    """The world of one computer; what is loaded is decided here, on first use."""

    def __init__(self, settings: LocalSettings, *, shares: bool = False, works: bool = True) -> None:
        """Use `settings`.

        When this process `shares` the runs with others, what they say goes between them; on a server it always does.
        One that does not work itself knows the models that the workers of other processes serve.
        """
        self.settings = settings
        self.shares = shares or not settings.uses_file
        self.works = works
        self.clock = SystemClock()

    @cached_property
    def database(self) -> Database:
        """One SQLite file in KIRA_DATA, or a PostgreSQL server."""
        if self.postgres is not None:
            return self.postgres.database
        from kira.adapters.database.sqlite import SqliteConfig, create_database

        return create_database(SqliteConfig(self.settings.database_file, folds=self.settings.folds_journal))

    @cached_property
    def postgres(self) -> Postgres | None:
        """The PostgreSQL server, where there is one."""
        if self.settings.uses_file:
            return None
        from kira.local.postgres import open_postgres

        return open_postgres(self.settings)

    @cached_property
    def queue(self) -> Queue:
        """The runs table; hints go through SQS where KIRA_QUEUE is its address. Raises WrongSetting."""
        if not self.settings.uses_sqs:
            return TableQueue(self.database, self.clock)
        from kira.adapters.queue.sqs import SqsConfig, SqsQueue

        settings = self.settings
        try:
            from kira.adapters.queue.sqs_client import client_of
        except ImportError:
            raise _missing("KIRA_QUEUE is an SQS queue", "aws") from None
        config = SqsConfig(settings.queue, settings.queue_hosted, frozenset(settings.hosted_models))
        client = client_of(settings.queue)
        return SqsQueue(self.database, self.clock, config, lambda: client)

    @cached_property
    def letters(self) -> Letters:
        """Mail, as KIRA_MAIL says; only where it does."""
        from kira.local.mail import open_letters

        return open_letters(self.settings.mail or "console")

    @cached_property
    def alarm(self) -> TimerAlarm | None:
        """A timer where hints may be lost on a way that Kira does not see; elsewhere workers look at the table."""
        if not self.settings.uses_sqs:
            return None
        from kira.adapters.alarm.timer import TimerAlarm

        return TimerAlarm(self.clock)

    @cached_property
    def roster(self) -> Roster:
        """The workers of all processes; a worker that is alone on a file writes nothing into it while idle."""
        from kira.adapters.roster.table import TableRoster

        return TableRoster(self.database, self.clock, process_name(os.getpid()), quiet=not self.shares)

    @cached_property
    def stream(self) -> Stream:
        """What runs say: in memory, and between processes unless KIRA_STREAM is `process`."""
        if self.settings.stream != "process":
            return self.wired
        from kira.adapters.stream.process import ProcessStream

        return ProcessStream(silence_s=1.0) if self.shares else ProcessStream()

    @cached_property
    def wired(self) -> WiredStream:
        """The stream between processes; one that works on its own runs writes nothing unless it was asked to."""
        from kira.adapters.stream.wired import WiredStream

        return WiredStream(self._wire(), publishes=self.shares or self.settings.stream is not None)

    @cached_property
    def schedule(self) -> Schedule | None:
        """What makes backups by itself, where that was asked for. Raises WrongSetting."""
        if self.settings.backup_every is None:
            return None
        from kira.local.backups.places import place_of
        from kira.local.backups.schedule import Schedule

        return Schedule(self.settings, open_shelf(place_of(self.settings), self.settings), self.clock)

    @cached_property
    def vault(self) -> Vault:
        """A key file in KIRA_DATA, or KIRA_MASTER_KEY."""
        return open_vault(self.settings.data, self.settings.master_key, _sealing)

    @cached_property
    def engine(self) -> Engine:
        """Ollama servers and the demo model, or what the workers of other processes serve."""
        if not self.works:
            from kira.adapters.engine.elsewhere import ElsewhereEngine

            return ElsewhereEngine(self.roster)
        from kira.adapters.engine.several import open_engine

        settings = self.settings
        return open_engine(self._ollama(), settings.model, self._hosted if settings.hosted else None)

    @cached_property
    def host(self) -> Host:
        """This computer, or the instance of an Auto Scaling group that it is. Raises WrongSetting."""
        settings = self.settings
        if settings.fleet is None:
            from kira.adapters.host.plain import PlainHost

            return PlainHost()
        try:
            from kira.adapters.host.ec2 import Ec2Config, Ec2Host
        except ImportError:
            raise _missing("KIRA_FLEET names an Auto Scaling group", "aws") from None
        return Ec2Host(Ec2Config(settings.fleet, settings.lifecycle_hook, settings.metadata))

    async def warm(self) -> None:
        """Load KIRA_MODELS, so that the first answer does not wait; raises the EngineError that fits."""
        if self.settings.models:
            from kira.adapters.engine.ollama.warming import warm

            await warm(self._ollama(), self.settings.models)

    def _ollama(self) -> OllamaConfig:
        from kira.adapters.engine.ollama import OllamaConfig

        settings = self.settings
        return OllamaConfig(
            settings.ollama,
            slots=settings.slots,
            num_parallel=settings.ollama_num_parallel,
            context=settings.context,
            keep_alive=settings.keep_alive,
            vram_mib=settings.vram_mib,
            card_mib=_card_mib,
            findings=Findings(self.database, self.clock),
        )

    def _hosted(self, bell: Bell) -> Engine:
        from kira.adapters.engine.hosted.config import HostedConfig
        from kira.adapters.engine.hosted.engine import HostedEngine

        settings = self.settings
        address, key = (settings.hosted or "").rstrip("/"), settings.hosted_key or ""
        return HostedEngine(HostedConfig(address, key, settings.hosted_models, settings.hosted_slots), bell)

    @property
    def poll_s(self) -> float:
        """How often to look for what another process queued, in seconds: often where no wake-up comes."""
        if self.settings.uses_sqs:
            return HINT_LOOK_SECONDS
        return POOLED_SECONDS if self.postgres is not None and not self.postgres.hears else POLL_SECONDS

    async def listen(self, line: Line) -> None:
        """Let wake-ups of other instances reach the queue and the stream here."""
        if self.postgres is not None:
            await self.postgres.listen(self.queue, line, wakes=not self.settings.uses_sqs)

    async def set_clock(self) -> None:
        """Set the clock by the server that this process shares with others."""
        if self.postgres is not None:
            self.clock.ahead = await self.postgres.database.ahead()

    async def check(self) -> None:
        """Raise WrongSetting when what the settings name cannot be used, or belongs to somebody else."""
        _ = self.schedule, self.queue if self.settings.uses_sqs else None  # their libraries may be missing
        if self.postgres is not None:
            await self.set_clock()
            from kira.services.installation import check_key

            await check_key(self.database, self.vault)
        if self.settings.stream != "process":
            await self.wired.check()

    async def close(self) -> None:
        """Close what was opened, the stream and the queue before the database that carries them."""
        for name in ("host", "engine", "wired", "alarm", "queue", "database", "postgres"):
            if (opened := self.__dict__.get(name)) is not None:
                await opened.close()

    def _wire(self) -> Wire:
        address = self.settings.stream
        if address in (None, "table"):
            from kira.adapters.stream.table import TableWire

            return TableWire(self.database, self.clock, self.postgres.news if self.postgres else None)
        try:
            from kira.adapters.stream.redis import RedisWire
        except ImportError:
            raise _missing("KIRA_STREAM names a Redis server", "redis") from None
        return RedisWire(address, self.clock)


def open_shelf(address: str, settings: LocalSettings) -> Shelf:
    """Return the shelf at `address`: a folder, or part of a bucket. Raises WrongSetting when the library is missing."""
    from kira.local.backups.places import bucket_of

    if not address.startswith(BUCKETS):
        from kira.adapters.shelf.folder import FolderShelf

        return FolderShelf(Path(address))
    try:
        from kira.adapters.shelf.s3 import S3Config, S3Shelf
    except ImportError:
        raise _missing(f"{address} is a place in S3", "s3") from None
    bucket, prefix = bucket_of(address)
    return S3Shelf(S3Config(bucket, prefix, settings.data / "backups", settings.s3_endpoint))


def _missing(told: str, extra: str) -> WrongSetting:
    advice = f"Install it: pip install 'kira-assistant[{extra}]'."
    return WrongSetting(f"{told}, but the library for it is missing. {advice}")


def _sealing() -> Seal:
    try:
        from kira.adapters.vault.sealing import Sealing  # a large library, for the few who keep a secret here
    except ImportError:
        return no_seal()
    return Sealing()


def _card_mib() -> int | None:
    from kira.adapters.engine.vram import card_mib  # the driver's library takes 0.1 s to load, and is rarely needed

    return card_mib()
