"""The connections of this process: a bounded pool that belongs to one event loop, and statements run on them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq.abc import PGresult
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from kira.adapters.database.catalogue import Statement
from kira.adapters.database.postgres.config import PostgresConfig
from kira.adapters.database.postgres.exchange import Connection, Message, exchange, rows_of
from kira.adapters.database.postgres.failures import HANDLED, asleep, away, kira_error
from kira.adapters.database.postgres.opening import opened_by
from kira.adapters.database.postgres.texts import Prepared
from kira.domain.errors import KiraError, Unavailable
from kira.domain.limits import DATABASE_WAITING_MAX
from kira.ports.database import NoRow, Result

LOOK_SECONDS = 1.0
"""How long is tried to reach a server that does not answer; then the next request tries again, at once."""
AWAY_SECONDS = 3.0
"""How long a request waits for a connection while the server was not found when it was last looked for."""
IDLE_SECONDS = 30.0
"""After this a connection is tried before it is used: what lies between may have forgotten it without a word."""
TRY_SECONDS = 2.0
_SAVE, _RELEASE = (b"SAVEPOINT one", ()), (b"RELEASE one", ())


@dataclass(frozen=True, slots=True)
class Filled:
    """A statement, its text for the server, and its values."""

    statement: Statement
    text: Prepared
    values: list[object]


class _Number(Loader):
    """Sums come as `numeric`, which would become Decimal; Kira's are whole numbers."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return float(text) if b"." in text else int(text)


class Pool:
    """Connections on demand, at most as many as the configuration allows."""

    def __init__(self, config: PostgresConfig, look: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        """Open nothing yet: a pool belongs to the loop that first uses it.

        Before anything else is asked of the server, `look` looks whether it is to be trusted.
        """
        self.config = config
        self._look = look
        self._used_at = 0.0
        self.executed = 0
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._opening = asyncio.Lock()
        self._working = 0
        self._idle = asyncio.Event()
        self._is_closed = False
        self._is_away = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Give a connection for one round trip. Raises KiraError and NoRow for whatever goes wrong with it."""
        if self._is_closed:
            raise Unavailable("Kira is stopping. Try again.", retry_after_s=1)
        self._working += 1
        try:
            pool = self._pool or await self._open()
            connection = await self._take(pool)
            try:
                async with connection:
                    await self._trust(connection)
                    yield connection
            finally:
                await pool.putconn(connection)
        except HANDLED as error:
            raise self._told(error) from error
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()

    @asynccontextmanager
    async def transaction(self, begin: Message) -> AsyncIterator[Connection]:
        """Give a connection inside a transaction that an exception undoes; the server ends one that idles too long."""
        async with self.connection() as connection:
            hold_ms = round(self.config.hold_s * 1000)
            bound = f"SET LOCAL idle_in_transaction_session_timeout = {hold_ms}".encode()
            try:
                await exchange(connection, [(b"BEGIN", ()), begin, (bound, ())])
                yield connection
            except BaseException:
                with suppress(psycopg.Error):
                    await asyncio.shield(connection.rollback())
                raise
            await connection.execute(b"COMMIT")

    async def close(self) -> None:
        """Finish what runs and close every connection; what comes later is refused."""
        if self._is_closed:
            return
        await asyncio.sleep(0)  # what was asked for before this call has begun now
        self._is_closed = True
        self._idle.clear()
        if self._working:
            await self._idle.wait()
        if self._pool is not None:
            await self._pool.close()

    def _told(self, error: Exception) -> KiraError | NoRow:
        if isinstance(error, PoolTimeout) and self.config.wake_s:
            return asleep()
        return away() if self._is_away and isinstance(error, PoolTimeout) else kira_error(error)

    async def _trust(self, connection: Connection) -> None:
        if self._look is not None:
            await self._look(connection)
            self._look = None

    async def _take(self, pool: AsyncConnectionPool[Connection]) -> Connection:
        wait_s = max(AWAY_SECONDS, self.config.wake_s) if self._is_away else self.config.wait_s
        # Not the time that the process ran: it may have been frozen in between.
        idle_s, self._used_at = time.time() - self._used_at, time.time()
        # After a restart of the server all that idle are cut. The library's own check waits longer after each of them.
        for _ in range(self.config.connections):
            connection = await pool.getconn(wait_s)
            if not _is_cut(connection) and (idle_s < IDLE_SECONDS or await _answers(connection)):
                return connection
            await pool.putconn(connection)
        return await pool.getconn(wait_s)

    async def _open(self) -> AsyncConnectionPool[Connection]:
        async with self._opening:
            if self._pool is None:
                config = self.config
                pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
                    config.address,
                    kwargs=dict(config.options),
                    min_size=min(config.connections_kept, config.connections),
                    max_size=config.connections,
                    max_waiting=DATABASE_WAITING_MAX,
                    timeout=config.wait_s,
                    reconnect_timeout=LOOK_SECONDS,
                    name=config.name,
                    connection_class=opened_by(config),
                    configure=self._configure,
                    reconnect_failed=self._failed,
                    open=False,
                )
                await pool.open()
                self._pool = pool
        return self._pool

    async def _configure(self, connection: Connection) -> None:
        connection.adapters.register_loader("numeric", _Number)
        await connection.find_out()
        self._is_away = False

    def _failed(self, _pool: object) -> None:
        self._is_away = True


async def run_all(connection: Connection, begin: Message, filled: Sequence[Filled]) -> list[Result]:
    """Run `filled` behind `begin` in one round trip and one transaction.

    Raises NoRow and KiraError; then nothing of it happened.
    """
    try:
        _, *given = await exchange(connection, [begin, *((one.text.sql, one.values) for one in filled)])
        return [_result(connection, result, one) for result, one in zip(given, filled, strict=True)]
    except psycopg.Error as error:
        raise kira_error(error, " and ".join(one.statement.name for one in filled)) from error


async def run_one(connection: Connection, one: Filled) -> Result:
    """Run `one` in the transaction that is open, so that its failure undoes it alone; one round trip."""
    try:
        _, given, _ = await exchange(connection, [_SAVE, (one.text.sql, one.values), _RELEASE])
        return _result(connection, given, one)
    except psycopg.Error as error:
        if not connection.closed:
            await exchange(connection, [(b"ROLLBACK TO one", ())])
        raise kira_error(error, one.statement.name) from error


def _result(connection: Connection, given: PGresult, one: Filled) -> Result:
    rows = rows_of(connection, given) if one.text.gives_rows else []
    changes = (given.ntuples or given.command_tuples or 0) if one.statement.writes else 0
    return Result(rows, changes)


def _is_cut(connection: Connection) -> bool:
    """Say whether the server has hung up meanwhile, which is known on this side already: nothing is asked of it."""
    try:
        # The first read may bring why it did, and only the next one that it has.
        for _ in range(2):
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return False


async def _answers(connection: Connection) -> bool:
    """Say whether the server still answers on a connection that idled; one that is silent is closed."""
    try:
        async with asyncio.timeout(TRY_SECONDS):
            await exchange(connection, [])
    except (psycopg.Error, TimeoutError):
        await connection.close()
        return False
    return True
