"""The function that brings the schema up to date during a deploy, and stops the deploy when it cannot."""

from __future__ import annotations

import logging
import time
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from kira.adapters.database.postgres.init import Made, init, let_in_by_token, make_database
from kira.cloud.aws import Aws
from kira.cloud.secrets import Secrets
from kira.cloud.settings import CloudSettings, read
from kira.cloud.telling import Voice
from kira.cloud.world import Handler, database_address
from kira.domain.errors import Unavailable

log = logging.getLogger("kira.function")

PAUSE_SECONDS = 1.0
LEFT_SECONDS = 10
"""How much of the function's time is for the schema when the database has woken up late."""
RESOURCE = "kira-schema"


class Migration:
    """Makes roles, schema and grants with the cluster's own account; what is there already stays."""

    def __init__(self, settings: CloudSettings, voice: Voice) -> None:
        """Read nothing yet."""
        self._settings, self._voice = settings, voice
        self._secrets = Secrets(Aws(settings))

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Do it; an error is raised, so that CloudFormation undoes the deploy. Raises KiraError and psycopg.Error."""
        self._voice.begins(context)
        if event.get("RequestType") == "Delete":
            return {"PhysicalResourceId": RESOURCE}  # what users wrote stays with the cluster
        made = self._made(time.monotonic() + context.get_remaining_time_in_millis() / 1000 - LEFT_SECONDS)
        applied = [f"{step.number} {step.name}" for step in made.applied]
        log.info("the schema is up to date", extra={"applied": applied})
        return {"PhysicalResourceId": RESOURCE, "Data": {"Applied": ", ".join(applied)}}

    def _made(self, ends: float) -> Made:
        settings = self._settings
        owner = settings.database_owner_secret
        user, password = (self._secrets.field(owner, name) for name in ("username", "password"))
        address = make_conninfo(database_address(settings), user=user, password=password)
        _wait_for(make_conninfo(address, dbname="postgres"), ends)
        make_database(make_conninfo(address, dbname="postgres"), settings.database_name)
        secret = settings.database_secret
        made = init(address, self._secrets.field(secret, "password") if secret else None)
        let_in_by_token(address, allowed=not secret)
        return made


def migrate() -> Handler:
    """Return the handler. Raises WrongSetting."""
    settings = read()
    settings.need("database_host", "database_owner_secret")
    return Migration(settings, Voice(settings))


def _wait_for(address: str, ends: float) -> None:
    """Return when the server answers, which after a sleep takes a while."""
    while True:
        try:
            psycopg.connect(address, connect_timeout=max(2, round(ends - time.monotonic()))).close()
        except psycopg.OperationalError as error:
            if "FATAL" in str(error):
                raise
            if time.monotonic() > ends:
                raise Unavailable("The database does not answer, so the deploy stops.", retry_after_s=60) from error
            time.sleep(PAUSE_SECONDS)
        else:
            return
