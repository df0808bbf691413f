"""Objects in a bucket, reached for one user with credentials that AWS itself bounds to that user's keys."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from kira.adapters.objects.names import key_of, prefix_of
from kira.domain.errors import Forbidden, KiraError, NotFound, Unavailable
from kira.domain.limits import OBJECT_ACCESS_SECONDS, OBJECT_ADDRESS_SECONDS, OBJECT_USERS_KEPT_MAX
from kira.ports.objects import Signed, Thing

LENT_SECONDS = 3_600
"""How long AWS lends credentials to who has credentials that were lent already."""

T = TypeVar("T")
Make = Callable[..., Any]
"""Takes the name of a service, and credentials if they are others than those of this process; returns a client."""


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """The bucket, and the role that is put on for one user with the session tag `user`."""

    bucket: str
    role: str


class S3Objects:
    """Keeps the Objects promise; no call is made with rights to more than one user's keys."""

    def __init__(self, config: BucketConfig, make: Make) -> None:
        """Use the bucket of `config`; `make` makes official clients."""
        self._config, self._make = config, make
        self._lent: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    async def put(self, user_id: str, name: str, data: bytes, kind: str) -> None:
        """Store the object."""
        await self._call(user_id, "put_object", Key=key_of(user_id, name), Body=data, ContentType=kind)

    async def get(self, user_id: str, name: str) -> bytes:
        """Read the object; raises NotFound."""
        key = key_of(user_id, name)

        def read(client: Any) -> bytes:
            return bytes(client.get_object(Bucket=self._config.bucket, Key=key)["Body"].read())

        return await self._with(user_id, read)

    async def remove(self, user_id: str, name: str) -> None:
        """Remove the object."""
        await self._call(user_id, "delete_object", Key=key_of(user_id, name))

    async def things(self, user_id: str, prefix: str = "") -> Sequence[Thing]:
        """Return the objects, page by page."""
        begins, first = prefix_of(user_id, prefix), len(prefix_of(user_id, ""))

        def read(client: Any) -> list[Thing]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._config.bucket, Prefix=begins)
            return [Thing(each["Key"][first:], each["Size"]) for page in pages for each in page.get("Contents", ())]

        return await self._with(user_id, read)

    async def upload(self, user_id: str, name: str, kind: str, size: int) -> Signed:
        """Sign a PUT of this type and size."""
        params = {"Key": key_of(user_id, name), "ContentType": kind, "ContentLength": size}
        url = await self._sign(user_id, "put_object", params)
        return Signed(url, {"content-type": kind, "content-length": str(size)})

    async def download(self, user_id: str, name: str) -> Signed:
        """Sign a GET; what a browser gets is a file and no page."""
        params = {"Key": key_of(user_id, name), "ResponseContentDisposition": "attachment"}
        return Signed(await self._sign(user_id, "get_object", params))

    async def _sign(self, user_id: str, operation: str, params: dict[str, Any]) -> str:
        given = {"Bucket": self._config.bucket, **params}

        def sign(client: Any) -> str:
            return str(client.generate_presigned_url(operation, Params=given, ExpiresIn=OBJECT_ADDRESS_SECONDS))

        return await self._with(user_id, sign)

    async def _call(self, user_id: str, operation: str, **params: Any) -> None:
        await self._with(user_id, lambda client: getattr(client, operation)(Bucket=self._config.bucket, **params))

    async def _with(self, user_id: str, work: Callable[[Any], T]) -> T:
        return await asyncio.to_thread(self._in_thread, user_id, work)

    def _in_thread(self, user_id: str, work: Callable[[Any], T]) -> T:
        with _sentences():
            return work(self._client(user_id))

    def _client(self, user_id: str) -> Any:
        """Return a client for one user: credentials are lent for an hour, and kept a little less."""
        until, client = self._lent.get(user_id, (0.0, None))
        if client is None or time.time() > until:
            tags = [{"Key": "user", "Value": user_id}]
            asked = {"RoleArn": self._config.role, "RoleSessionName": f"kira-{user_id}", "Tags": tags}
            lent = self._make("sts").assume_role(**asked, DurationSeconds=LENT_SECONDS)["Credentials"]
            client = self._make(
                "s3",
                aws_access_key_id=lent["AccessKeyId"],
                aws_secret_access_key=lent["SecretAccessKey"],
                aws_session_token=lent["SessionToken"],
                config=Config(signature_version="s3v4"),  # the older one signs neither size nor type
            )
            self._lent[user_id] = (time.time() + OBJECT_ACCESS_SECONDS, client)
        self._lent.move_to_end(user_id)
        while len(self._lent) > OBJECT_USERS_KEPT_MAX:
            self._lent.popitem(last=False)
        return client


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _error(str(error.response["Error"].get("Code"))) from error
    except BotoCoreError as error:
        raise Unavailable("Objects cannot be reached just now. Try again.", retry_after_s=2) from error


def _error(code: str) -> KiraError:
    if code in ("NoSuchKey", "404"):
        return NotFound("There is no such object.")
    if "Denied" in code or "InvalidAccessKeyId" in code or "Signature" in code:
        return Forbidden(f"The bucket refused it ({code}). Check KIRA_BUCKET and KIRA_USER_ROLE.")
    return Unavailable(f"Objects cannot be reached just now ({code}). Try again.", retry_after_s=2)
