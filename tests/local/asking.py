"""Asks a running Kira over HTTP what the command has no word for, with the command's own client."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import open_vault
from kira.local.client import Client
from kira.services.tokens import Tokens


def again(data: Path, address: str, message_id: str) -> None:
    """Have the answer `message_id` written again, and wait for it."""
    asyncio.run(_again(data, address, message_id))


async def _again(data: Path, address: str, message_id: str) -> None:
    client = Client(address)
    try:
        await client.sign_in_locally(Tokens(open_vault(data), SystemClock()).local())
        asked = await client.call("POST", f"/api/messages/{message_id}/regenerate", {})
        last = [said async for said in client.follow(asked["run"]["id"])][-1]
        assert getattr(last, "kind", "") == "done"
    finally:
        await client.close()
