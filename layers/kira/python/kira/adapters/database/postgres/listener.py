"""Wake-ups from other instances: LISTEN on one connection of its own, proven to hear, begun again when it breaks."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress

import psycopg

from kira.adapters.database.postgres.config import PostgresConfig

log = logging.getLogger("kira.database")

PROBE = "kira_probe"
PROBE_SECONDS = 2.0
PAUSE_SECONDS = 2.0
SILENCE_SECONDS = 30.0
"""How long nothing may come before the connection is asked whether it still hears."""

Heard = Callable[[str], None]
Connection = psycopg.AsyncConnection[tuple[object, ...]]


class Ear:
    """Waits for the next word on one channel; any number of tasks may wait."""

    def __init__(self, listener: Listener) -> None:
        """Wait for what `listener` hears."""
        self._listener = listener
        self._rung = asyncio.Event()

    @property
    def hears(self) -> bool:
        """Say whether words arrive at all."""
        return self._listener.hears

    def ring(self, _payload: str) -> None:
        """Wake all who wait."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return at the next word, or after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()


class Listener:
    """Calls what was registered for a channel with each payload; `hears` is False where only a pooler is reachable."""

    def __init__(self, config: PostgresConfig) -> None:
        """Listen at the address of `config`, from `start` on."""
        self._config = config
        self._channels: dict[str, Heard] = {}
        self._task: asyncio.Task[None] | None = None
        self.hears = False

    def hear(self, channel: str, told: Heard) -> None:
        """Call `told` with each payload of `channel`, and with an empty one when something may have been missed."""
        self._channels[channel] = told

    def ear(self, channel: str) -> Ear:
        """Return what waits for words on `channel`."""
        made = Ear(self)
        self.hear(channel, made.ring)
        return made

    async def start(self) -> None:
        """Begin; returns when it is known whether the server's notifications arrive here."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._run(first))
        await first.wait()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, first: asyncio.Event) -> None:
        was_told = False
        while True:
            try:
                await self._listen(first)
                if not was_told:
                    log.info("the database's wake-ups do not arrive here (a pooler?), so it is asked again and again")
                    was_told = True
            except psycopg.Error as error:
                if self.hears:
                    log.warning("the database's wake-ups broke off: %s", type(error).__name__)
            self.hears = False
            first.set()
            await asyncio.sleep(PAUSE_SECONDS if not was_told else SILENCE_SECONDS)

    async def _listen(self, first: asyncio.Event) -> None:
        async with await self._connect() as connection:
            for channel in (*self._channels, PROBE):
                await connection.execute(f"LISTEN {channel}".encode())
            # A pooler passes on what the connection itself just said, so that only another one's word proves anything.
            async with await self._connect() as other:
                is_heard = await self._is_heard(connection, other)
            while is_heard:
                self.hears = True
                for heard in self._channels.values():
                    heard("")  # whatever was said while nobody listened
                first.set()
                await self._until_silent(connection)
                is_heard = await self._is_heard(connection, connection)

    async def _until_silent(self, connection: Connection) -> None:
        """Tell every word as it comes; return when none came for SILENCE_SECONDS. Raises psycopg.Error.

        Words are frequent, and the library's own way starts a machinery for each: a quarter of what an instance did.
        """
        loop, pgconn = asyncio.get_running_loop(), connection.pgconn
        broken: asyncio.Future[None] = loop.create_future()
        heard_at = loop.time()

        def read() -> None:
            nonlocal heard_at
            try:
                pgconn.consume_input()
            except psycopg.Error as error:
                loop.remove_reader(socket)
                broken.set_exception(error)
                return
            words: dict[tuple[bytes, bytes], None] = {}  # each once: what they say is where to look
            while told := pgconn.notifies():
                words[told.relname, told.extra] = None
            if words:
                heard_at = loop.time()
            for channel, payload in words:
                self._tell(channel.decode(), payload.decode())

        socket = pgconn.socket
        loop.add_reader(socket, read)
        try:
            while not broken.done() and (rest := heard_at + SILENCE_SECONDS - loop.time()) > 0:
                await asyncio.wait((broken,), timeout=rest)
        finally:
            loop.remove_reader(socket)
        if broken.done():
            broken.result()

    async def _connect(self) -> Connection:
        options = self._config.options | {"application_name": f"{self._config.name} listens"[:63]}
        return await psycopg.AsyncConnection.connect(self._config.address, **options)  # type: ignore[arg-type]

    async def _is_heard(self, connection: Connection, speaker: Connection) -> bool:
        """Say whether a word of `speaker` arrives: behind a pooler LISTEN succeeds and nothing ever comes."""
        word = secrets.token_hex(8)
        await speaker.execute("SELECT pg_notify(%s, %s)", (PROBE, word))
        with suppress(TimeoutError):
            async for told in connection.notifies(timeout=PROBE_SECONDS):
                if told.channel == PROBE and told.payload == word:
                    return True
                self._tell(told.channel, told.payload)
        return False

    def _tell(self, channel: str, payload: str) -> None:
        heard = self._channels.get(channel)
        if heard is not None:
            heard(payload)
