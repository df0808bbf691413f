"""Small questions to AWS over the standard library: its own library takes longer to load than Kira to start."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from kira.cloud.settings import CloudSettings
from kira.domain.errors import Conflict, Forbidden, Invalid, KiraError, NotFound, Unavailable
from kira.domain.limits import AWS_SECONDS_MAX
from kira.domain.signing import Credentials, Scope, signed_headers, signed_query

log = logging.getLogger("kira.aws")

TARGETS = {
    "kms": ("application/x-amz-json-1.1", "TrentService."),
    "secretsmanager": ("application/x-amz-json-1.1", "secretsmanager."),
    "sqs": ("application/x-amz-json-1.0", "AmazonSQS."),
}
"""In which language a service is asked, and how it calls itself there; others tell by the path what they are asked."""

SIGNED_AS = {"email": "ses"}
"""What a service is called in a signature, where that is not the beginning of its address."""

PAUSES_S = (0.1, 0.4)
TOKEN_SECONDS = 900


class Aws:
    """Asks services of one account and region, as the role of this function."""

    def __init__(self, settings: CloudSettings) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._who = Credentials(settings.key_id, settings.key_secret, settings.key_token)

    async def ask(self, service: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `ask_now`, in a thread."""
        return await asyncio.to_thread(self.ask_now, service, action, body)

    def ask_now(self, service: str, action: str, body: dict[str, Any], path: str = "/") -> dict[str, Any]:
        """Return the answer of a service that speaks JSON; what fails by itself is tried again.

        Raises Conflict, NotFound, Invalid, Forbidden and Unavailable with the service's own word for it, and never
        what was sent.
        """
        for pause in (*PAUSES_S, None):
            try:
                status, answer = self._once(service, action, json.dumps(body).encode(), path)
            except (OSError, HTTPException) as error:
                status, answer = 503, {"__type": type(error).__name__}
            if status < 300:
                return answer
            found = _error(service, action, status, answer)
            if pause is None or not isinstance(found, Unavailable):
                raise found
            time.sleep(pause)
        raise Unavailable(retry_after_s=2)

    def database_token(self, host: str, port: int, user: str) -> str:
        """Return the password with which `user` signs in to the database by IAM; it counts for 15 minutes."""
        asked = {"Action": "connect", "DBUser": user}
        where = f"{host}:{port}"
        scope = Scope("rds-db", self._settings.region)
        return f"{where}/?{signed_query(self._who, scope, where, asked, TOKEN_SECONDS, now=datetime.now(UTC))}"

    def address(self, service: str) -> str:
        """Return where a service is in this region."""
        region = self._settings.region
        if self._settings.endpoint:
            return self._settings.endpoint
        in_china = region.startswith("cn-")
        if self._settings.reaches_dual_stack:
            return f"https://{service}.{region}.{'api.amazonwebservices.com.cn' if in_china else 'api.aws'}"
        return f"https://{service}.{region}.{'amazonaws.com.cn' if in_china else 'amazonaws.com'}"

    def _once(self, service: str, action: str, body: bytes, path: str) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(self.address(service))
        kind, target = TARGETS.get(service, ("application/json", ""))
        headers = {"content-type": kind, **({"x-amz-target": target + action} if target else {})}
        scope = Scope(SIGNED_AS.get(service, service), self._settings.region)
        signed = signed_headers(self._who, scope, parts.netloc, headers, body, now=datetime.now(UTC), path=path)
        connection = _connection(parts.scheme, parts.netloc)
        try:
            connection.request("POST", path, body, signed)
            response = connection.getresponse()
            told = response.read()
        finally:
            connection.close()
        answer = _object(told)
        answer.setdefault("__type", response.getheader("x-amzn-errortype", ""))
        return response.status, answer


class Client:
    """Speaks like Amazon's own client of one service, as far as it goes: operations as methods, answers as dicts."""

    def __init__(self, aws: Aws, service: str, paths: Mapping[str, str] = MappingProxyType({})) -> None:
        """Ask `service`; of an operation in `paths` the address is made with what the request names."""
        self._aws, self._service, self._paths = aws, service, paths

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """Return what asks for `operation`, such as `send_message_batch`; it raises KiraError."""
        action = "".join(word.capitalize() for word in operation.split("_"))
        path = self._paths.get(operation, "/")

        def ask(**params: Any) -> dict[str, Any]:
            body = {name: value for name, value in params.items() if f"{{{name}}}" not in path}
            return self._aws.ask_now(self._service, action, body, path.format(**params))

        return ask


def _object(told: bytes) -> dict[str, Any]:
    """Return the JSON object that was told; an error may also be told in another language."""
    try:
        found = json.loads(told)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _connection(scheme: str, place: str) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(place, timeout=AWS_SECONDS_MAX)
    return HTTPSConnection(place, timeout=AWS_SECONDS_MAX, context=ssl.create_default_context())


def _error(service: str, action: str, status: int, answer: dict[str, Any]) -> KiraError:
    kind = (str(answer["__type"]).rpartition("#")[2] or str(status)).partition(":")[0]
    log.warning("%s.%s: %s %s", service, action, status, kind)
    if "Conflict" in kind:
        return Conflict(f"{service}.{action}: it is there already.")
    if "NotFound" in kind:
        return NotFound(f"AWS has nothing under the name that {service}.{action} was given ({kind}).")
    if "Invalid" in kind:
        return Invalid(f"AWS could not read what {service}.{action} was given ({kind}).")
    if status >= 500 or "Throttl" in kind or "TooMany" in kind:
        return Unavailable(f"AWS could not do {service}.{action} just now ({kind}). Try again.", retry_after_s=2)
    return Forbidden(f"AWS refused {service}.{action} ({kind}). Check the role of this function.")
