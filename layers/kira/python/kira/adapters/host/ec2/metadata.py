"""What EC2 says to an instance about itself (IMDSv2): every question carries a token that is asked for first."""

from __future__ import annotations

import asyncio
import logging

import aiohttp

log = logging.getLogger("kira.host")

TOKEN_SECONDS = 21_600
UNAUTHORIZED, NOT_FOUND = 401, 404


class Metadata:
    """Asks at `address`; whoever does not answer within `answer_s` is taken to have nothing to say."""

    def __init__(self, address: str, answer_s: float) -> None:
        """Open nothing yet."""
        self._address = address.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=answer_s)
        self._session: aiohttp.ClientSession | None = None
        self._token: str | None = None
        self._is_silent = False

    async def read(self, path: str) -> str | None:
        """Return what stands at `path`; None where there is nothing, or nobody answers."""
        try:
            found = await self._read(path)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if not self._is_silent:
                log.warning("EC2 does not say how this instance is (%s); the worker goes on.", type(error).__name__)
            self._is_silent = True
            return None
        self._is_silent = False
        return found

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _read(self, path: str) -> str | None:
        url = f"{self._address}/latest/meta-data/{path}"
        for _ in range(2):  # a token may have run out
            headers = {"X-aws-ec2-metadata-token": await self._get_token()}
            async with self._opened().get(url, headers=headers) as answer:
                if answer.status == UNAUTHORIZED:
                    self._token = None
                    continue
                if answer.status == NOT_FOUND:
                    return None
                answer.raise_for_status()
                return (await answer.text()).strip()
        return None

    async def _get_token(self) -> str:
        if self._token is None:
            headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
            async with self._opened().put(f"{self._address}/latest/api/token", headers=headers) as answer:
                answer.raise_for_status()
                self._token = await answer.text()
        return self._token

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self._session


async def identity(metadata: Metadata) -> tuple[str, str] | None:
    """Return the instance's id and region; None while EC2 does not say them."""
    own, region = await asyncio.gather(metadata.read("instance-id"), metadata.read("placement/region"))
    return (own, region) if own and region else None
