"""One Ollama server over HTTP: small questions with a time limit, and answers that stream."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from kira.adapters.engine.ollama import faults
from kira.domain.errors import EngineError, ServerDown

CONNECT_SECONDS = 5
ERROR_BYTES_MAX = 10_000


class Wire:
    """Speaks with the server at `address`; `name` is how people call it."""

    def __init__(self, session: aiohttp.ClientSession, address: str, name: str, timeout_s: float) -> None:
        """Use `session`; small questions may take `timeout_s`."""
        self._session = session
        self._address = address
        self._name = name
        self._short = aiohttp.ClientTimeout(total=timeout_s)
        self._long = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)

    async def version(self) -> str:
        """Return the server's version; raises ServerDown."""
        return str((await self._json("GET", "/api/version")).get("version", ""))

    async def models(self) -> list[dict[str, Any]]:
        """Return the models that the server has."""
        return list((await self._json("GET", "/api/tags")).get("models") or ())

    async def loaded(self) -> list[dict[str, Any]]:
        """Return the models that are in memory."""
        return list((await self._json("GET", "/api/ps")).get("models") or ())

    async def show(self, model: str) -> dict[str, Any]:
        """Return what the server knows of `model`."""
        return await self._json("POST", "/api/show", {"model": model})

    async def chat(self, body: dict[str, Any], first_s: float) -> aiohttp.ClientResponse:
        """Begin an answer; Ollama sends the head with the first token, for which `first_s` seconds are allowed.

        Raises the EngineError that fits. Whoever gets the response closes it.
        """
        try:
            async with asyncio.timeout(first_s):
                response = await self._session.post(f"{self._address}/api/chat", json=body, timeout=self._long)
        except aiohttp.ClientConnectorError:
            raise faults.down(self._name) from None
        except aiohttp.ServerTimeoutError:
            raise faults.down(self._name) from None
        except TimeoutError:
            raise faults.too_slow(self._name, first_s) from None
        except (aiohttp.ClientError, OSError):
            raise faults.cut(self._name) from None
        if response.status != 200:
            raise await self._refused(response, str(body["model"]))
        return response

    async def _refused(self, response: aiohttp.ClientResponse, model: str) -> EngineError:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                data = await response.content.read(ERROR_BYTES_MAX)
        except (aiohttp.ClientError, TimeoutError, OSError):
            data = b""
        finally:
            response.release()
        return faults.from_status(response.status, _error_text(data), model, self._name)

    async def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with self._session.request(method, self._address + path, json=body, timeout=self._short) as response:
                if response.status == 404 and body is not None:
                    raise faults.not_found(str(body["model"]))
                response.raise_for_status()
                found = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise faults.down(self._name) from error
        if not isinstance(found, dict):
            raise ServerDown(f"What answers at {self._name} is not Ollama. Check KIRA_OLLAMA.")
        return found


def _error_text(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")
