"""Cloud: which adapter keeps each promise on AWS."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kira.adapters.clock.system import SystemClock
from kira.adapters.queue.table import TableQueue
from kira.adapters.vault.keyfile import Seal, vault_of
from kira.cloud.aws import Aws, Client
from kira.cloud.secrets import Secrets, SecretSignIn, TokenSignIn
from kira.cloud.settings import CloudSettings
from kira.domain.limits import DATABASE_CONNECTIONS_PER_FUNCTION, DATABASE_WAKE_SECONDS
from kira.ports.engine import Fleet, Model, Server
from kira.ports.queue import Queue
from kira.services.waiting import Line

if TYPE_CHECKING:
    from kira.adapters.database.postgres import PostgresConfig, PostgresDatabase
    from kira.adapters.engine.hosted.config import HostedConfig
    from kira.adapters.stream.wire import Wire
    from kira.adapters.stream.wired import WiredStream
    from kira.ports.alarm import Alarm
    from kira.ports.engine import Engine
    from kira.ports.objects import Objects
    from kira.ports.roster import Roster
    from kira.ports.vault import Vault
    from kira.services.letters import Letters

Handler = Callable[[dict[str, Any], Any], Any]

SCHEDULER = {"create_schedule": "/schedules/{Name}"}
MAIL = {"send_email": "/v2/email/outbound-emails"}
"""Where services are asked that tell by the path what they are asked."""

ASLEEP = "The model servers sleep while nobody asks. The next question wakes one, which takes some minutes."


class Cloud:
    """The world of one function; what is loaded and asked is decided here, on first use."""

    def __init__(self, settings: CloudSettings) -> None:
        """Use `settings`."""
        self.settings = settings
        self.clock = SystemClock()
        self.line = Line()
        self.aws = Aws(settings)
        self.secrets = Secrets(self.aws)

    @cached_property
    def database(self) -> PostgresDatabase:
        """Aurora, which may sleep: it is reached on first use."""
        from kira.adapters.database.postgres import open_asleep

        return open_asleep(self.database_config())

    @cached_property
    def queue(self) -> Queue:
        """The runs table; hints of what waits go through SQS, which starts whoever works."""
        settings = self.settings
        if not settings.queue:
            return TableQueue(self.database, self.clock)
        from kira.adapters.queue.sqs import SqsConfig, SqsQueue

        config = SqsConfig(
            settings.queue, settings.queue_hosted or None, frozenset(settings.hosted_models), polls=False
        )
        return SqsQueue(self.database, self.clock, config, lambda: Client(self.aws, "sqs"))

    @cached_property
    def alarm(self) -> Alarm | None:
        """The one alarm, which calls the clock."""
        settings = self.settings
        if not settings.alarm_group:
            return None
        from kira.adapters.alarm.scheduler import SchedulerAlarm, SchedulerConfig

        settings.need("alarm_target", "alarm_role")
        config = SchedulerConfig(settings.alarm_group, settings.alarm_target, settings.alarm_role)
        return SchedulerAlarm(self.clock, config, lambda: Client(self.aws, "scheduler", SCHEDULER))

    @cached_property
    def roster(self) -> Roster:
        """The workers of the fleet."""
        from kira.adapters.roster.table import TableRoster

        return TableRoster(self.database, self.clock, self.settings.function, quiet=True)

    @cached_property
    def stream(self) -> WiredStream:
        """What runs say, between functions and workers; workers trim it, functions may be frozen."""
        from kira.adapters.stream.wired import WiredStream

        return WiredStream(self._wire(), trims=False)

    @cached_property
    def vault(self) -> Vault:
        """Keys from the master key in Secrets Manager; users' secrets are sealed below a key of KMS."""
        from kira.adapters.vault.kms import KmsVault

        self.settings.need("master_key_secret")
        master = self.secrets.text(self.settings.master_key_secret)
        keys = vault_of(master, "The secret of KIRA_MASTER_KEY_SECRET")
        return KmsVault(keys, self.aws.ask, self.settings.key, self._sealing)

    @cached_property
    def engine(self) -> Engine:
        """What the workers of the fleet serve, or will once they are awake, and the hosted models."""
        from kira.adapters.engine.asked import AskedEngine
        from kira.adapters.engine.hosted.config import fleet_of

        settings = self.settings
        hosted = fleet_of(self._hosted_config()) if settings.hosted_models else None
        asleep = Server("worker", "down", ASLEEP)
        fleet = Fleet((Model(settings.model, settings.model),), (asleep,), settings.model) if settings.model else None
        return AskedEngine(self.roster, asleep=fleet, always=hosted, beside=self._count)

    @cached_property
    def objects(self) -> Objects:
        """A bucket, reached with credentials for one user at a time."""
        import boto3  # type: ignore[import-untyped]

        from kira.adapters.objects.s3 import BucketConfig, S3Objects

        self.settings.need("bucket", "user_role")
        return S3Objects(BucketConfig(self.settings.bucket, self.settings.user_role), boto3.session.Session().client)

    @cached_property
    def letters(self) -> Letters | None:
        """Mail over Amazon SES, where a sender is set."""
        if not self.settings.mail_from:
            return None
        from kira.adapters.mail.ses import SesMail
        from kira.services.letters import Letters

        return Letters(SesMail(self.settings.mail_from, lambda: Client(self.aws, "email", MAIL)))

    @cached_property
    def hosted(self) -> Engine:
        """The provider itself, for the one who works on its runs."""
        from kira.adapters.engine.hosted.engine import HostedEngine

        secret = self.settings.hosted_secret
        return HostedEngine(self._hosted_config(self.secrets.text(secret) if secret else ""))

    def database_config(self) -> PostgresConfig:
        """Return how this function signs in to the database, and how much of it it may use."""
        from kira.adapters.database.postgres import PostgresConfig

        settings = self.settings
        settings.need("database_host")
        host, port, user = settings.database_host, settings.database_port, settings.database_user
        secret = settings.database_secret
        return PostgresConfig(
            database_address(settings),
            connections=DATABASE_CONNECTIONS_PER_FUNCTION,
            connections_kept=0,  # the first request opens it, and none beside
            wait_s=DATABASE_WAKE_SECONDS,
            connect_s=DATABASE_WAKE_SECONDS,
            wake_s=DATABASE_WAKE_SECONDS,
            sign_in=SecretSignIn(self.secrets, secret) if secret else TokenSignIn(self.aws, host, port, user),
            name=f"kira {settings.function} {os.getpid()}",
        )

    def traced(self, handler: Handler) -> Handler:
        """Return `handler`, told to X-Ray where there is somebody who listens."""
        if not self.settings.traces:
            return handler
        from aws_lambda_powertools import Tracer

        tracer = Tracer(service=self.settings.function, auto_patch=False)
        traced: Handler = tracer.capture_lambda_handler(handler, capture_response=False)
        return traced

    async def settle(self) -> None:
        """Finish what was begun, because nothing goes on after an answer: a function is frozen then."""
        if "stream" in self.__dict__:
            await self.stream.flush()

    async def close(self) -> None:
        """Close what was opened, the stream before the database that carries it."""
        if "stream" in self.__dict__:
            await self.stream.close()
        if "database" in self.__dict__:
            await self.database.close()

    def _sealing(self) -> Seal:
        from kira.adapters.vault.sealing import Sealing  # a large library, for the few that keep a secret

        self.settings.need("key")
        return Sealing()

    def _hosted_config(self, key: str = "") -> HostedConfig:
        from kira.adapters.engine.hosted.config import HostedConfig

        settings = self.settings
        settings.need("hosted", "hosted_models")
        return HostedConfig(settings.hosted, key, settings.hosted_models, settings.hosted_slots)

    async def _count(self) -> None:
        joins = self.line.joins
        self.line.counted(len(await self.queue.places()), joins)
        self.line.slots = max(1, self.engine.fleet().slots)

    def _wire(self) -> Wire:
        if self.settings.stream == "table":
            from kira.adapters.stream.table import TableWire

            return TableWire(self.database, self.clock)
        from kira.adapters.stream.redis import RedisWire

        return RedisWire(self.settings.stream, self.clock)


def database_address(settings: CloudSettings) -> str:
    """Return the connection string without a password.

    The server has to prove who it is: a password is sent to it, and what users wrote.
    """
    from psycopg.conninfo import make_conninfo

    return make_conninfo(
        host=settings.database_host,
        port=settings.database_port,
        user=settings.database_user,
        dbname=settings.database_name,
        sslmode="verify-full",
        sslrootcert=settings.database_ca,
    )
