"""The client of `kira chat`: an expired token is replaced once, however many calls meet it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.local.rig import kira_up, rows

from kira.adapters.clock.fixed import FixedClock
from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import open_vault
from kira.domain.accounts import Role, User
from kira.local.client import Client
from kira.services.tokens import Tokens


def test_an_expired_token_is_replaced_once(models: str, data: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        asyncio.run(_meet_an_expired_token(data, running.address))
    assert rows(data, "SELECT COUNT(*) FROM sessions") == [(1,)]


async def _meet_an_expired_token(data: Path, address: str) -> None:
    client = Client(address)
    vault = open_vault(data)
    try:
        await client.sign_in_locally(Tokens(vault, SystemClock()).local())
        known = Tokens(vault, SystemClock()).read_access(client.token)
        owner = User(known.user_id, None, "You", Role.ADMIN, 0)
        client.token = expired = Tokens(vault, FixedClock(0)).access(owner, known.session_id)
        calls = [client.call("GET", "/api/conversations") for _ in range(10)]
        found = await asyncio.gather(*calls)
        assert [each["items"] for each in found] == [[]] * 10
        assert client.token != expired
        assert (await client.call("GET", "/api/auth/me"))["id"] == known.user_id
    finally:
        await client.close()
