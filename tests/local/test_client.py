"""The client of `kira chat`: an expired token is replaced once, and a question is asked once, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

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


def test_a_question_whose_answer_never_came_is_asked_again_and_once(models: str, data: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        told = asyncio.run(_ask_over_a_line_that_breaks(data, running.address))
        assert told == ["lost"]
        assert rows(data, "SELECT content FROM messages WHERE role = 'user'") == [("only once",)]
        assert rows(data, "SELECT COUNT(*) FROM runs WHERE kind = 'reply'") == [(1,)]


async def _ask_over_a_line_that_breaks(data: Path, address: str) -> list[str]:
    told: list[str] = []
    async with _line_that_breaks_after(b"/messages ", address) as line:
        client = Client(line)
        try:
            await client.sign_in_locally(Tokens(open_vault(data), SystemClock()).local())
            conversation = (await client.call("POST", "/api/conversations"))["id"]
            path = f"/api/conversations/{conversation}/messages"
            asked = await client.ask(path, {"content": "only once"}, lambda: told.append("lost"))
            assert asked["message"]["content"] == "only once"
        finally:
            await client.close()
    return told


@asynccontextmanager
async def _line_that_breaks_after(part: bytes, address: str) -> AsyncIterator[str]:
    """Lead to `address`; the first request with `part` arrives there, and its answer does not come back."""
    host, port = urlsplit(address).hostname, urlsplit(address).port
    broken: list[bytes] = []
    leading: list[asyncio.Task[None]] = []

    async def send(reader: asyncio.StreamReader, back: asyncio.StreamWriter, sent: bytearray) -> None:
        while piece := await reader.read(65_536):
            sent.extend(piece)
            back.write(piece)
        back.close()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        sent = bytearray()
        sending = asyncio.create_task(send(reader, back, sent))
        while answer := await there.read(65_536):
            if part in sent and not broken:
                broken.append(bytes(sent))
                break
            writer.write(answer)
        writer.close()
        await asyncio.gather(sending, writer.wait_closed())
        await back.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        leading.append(asyncio.create_task(lead(reader, writer)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*leading)
