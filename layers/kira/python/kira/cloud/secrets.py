"""Secrets of this installation: fetched once for an environment, and again when one was rotated."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future, ThreadPoolExecutor

from kira.cloud.aws import Aws
from kira.domain.errors import WrongSetting


class Secrets:
    """Reads secrets by their ARN and keeps them in memory."""

    def __init__(self, aws: Aws) -> None:
        """Fetch nothing yet."""
        self._aws = aws
        self._kept: dict[str, str] = {}
        self._under_way: dict[str, Future[str]] = {}

    def expect(self, *names: str) -> None:
        """Begin to fetch all secrets of `names` at once, in threads, while modules are loaded.

        What fails is fetched again by whoever needs it.
        """
        pool = ThreadPoolExecutor(max_workers=max(1, len(names)))
        self._under_way = {name: pool.submit(self._fetch, name) for name in names if name}
        pool.shutdown(wait=False)

    def text(self, name: str, *, fresh: bool = False) -> str:
        """Return the text of the secret `name`; with `fresh` as it is now."""
        under_way = self._under_way.pop(name, None)
        if under_way is not None and under_way.exception() is None:
            self._kept[name] = under_way.result()
        if fresh or name not in self._kept:
            self._kept[name] = self._fetch(name)
        return self._kept[name]

    def _fetch(self, name: str) -> str:
        found = self._aws.ask_now("secretsmanager", "GetSecretValue", {"SecretId": name})
        return str(found.get("SecretString", ""))

    def field(self, name: str, key: str, *, fresh: bool = False) -> str:
        """Return one field of a secret that is a JSON object. Raises WrongSetting when it has none."""
        try:
            return str(json.loads(self.text(name, fresh=fresh))[key])
        except (ValueError, KeyError, TypeError):
            raise WrongSetting(f"The secret {name} has no field {key!r}. Write it again as a JSON object.") from None


class SecretSignIn:
    """Signs in to the database with the password in a secret, which somebody may rotate at any moment."""

    def __init__(self, secrets: Secrets, name: str) -> None:
        """Use the field `password` of the secret `name`."""
        self._secrets, self._name = secrets, name

    async def password(self, *, refused: bool = False) -> str:
        """Return the password; the one of now when the kept one was refused."""
        return await asyncio.to_thread(self._secrets.field, self._name, "password", fresh=refused)


class TokenSignIn:
    """Signs in to the database with a token that is made here for each connection; nothing is fetched."""

    def __init__(self, aws: Aws, host: str, port: int, user: str) -> None:
        """Sign in as `user` at `host`."""
        self._aws, self._where = aws, (host, port, user)

    async def password(self, *, refused: bool = False) -> str:  # noqa: ARG002 - every token is new
        """Return a token."""
        return self._aws.database_token(*self._where)
