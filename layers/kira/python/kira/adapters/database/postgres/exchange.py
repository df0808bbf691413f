"""One round trip: statements go to the server in one piece up to a Sync, and nothing follows it.

psycopg's own pipeline asks for a flush after its Sync. By then a pooler may have given the server's connection to
somebody else, and a flush alone takes another one, which nothing gives back: clients that idle starve those that ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from kira.ports.database import Row


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that remembers what the server behind it has read and planned already."""

    kept: dict[bytes, bytes] | None = None
    """The names of statements that the server keeps for this connection; None where each is sent as if for once."""
    _named = 0

    async def find_out(self) -> None:
        """Let the server keep statements if it is this very connection that it serves: one round trip.

        A pooler tells its clients a number of its own and hands them to any connection to the server, where names
        are unknown or those of somebody else; the number of the process that answers gives it away.
        """
        (given,) = await exchange(self, [(b"SELECT pg_backend_pid()", ())])
        if given.get_value(0, 0) == str(self.info.backend_pid).encode():
            await exchange(self, _SETTINGS)
            self.kept = {}

    def forgets(self, error: psycopg.Error) -> bool:
        """Say whether what was kept is of no use any more, and forget it then."""
        is_stale = self.kept is not None and error.sqlstate in _STALE
        if is_stale:
            self.kept = {}
        return is_stale

    def new_name(self) -> bytes:
        """Return a name that no statement of this connection ever had."""
        self._named += 1
        return b"k%d" % self._named


Message = tuple[bytes, Sequence[object]]
"""A statement with `$1` that states the types of its parameters, and their values."""

KEPT_MAX = 200
"""How many statements a server keeps for one connection: all of Kira's, and some of them for several page sizes."""
_SETTINGS: Sequence[Message] = [
    (b"SET plan_cache_mode = force_generic_plan", ()),
    (b"SET enable_seqscan = off", ()),
    (b"SET jit = off", ()),
]
"""Every statement goes by keys, so one plan fits all values, and planning takes longer than what is planned.

A plan that was made while a table was small is still there when it has grown, so it goes by the index in any case.
"""
_STALE = ("0A000", "26000")
"""States of a statement whose plan no longer fits a table that was altered, and of a name that the server forgot."""
_COPIES = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


async def exchange(connection: Connection, messages: Sequence[Message]) -> list[PGresult]:
    """Run `messages` in one round trip and return what each gave.

    Outside a transaction they are one of their own. Raises psycopg.Error for the first that failed, also for what the
    server found out at the end.
    """
    async with connection.lock:
        pgconn = connection.pgconn
        if connection.closed:
            raise psycopg.OperationalError("the connection is closed")
        is_own = pgconn.transaction_status == TransactionStatus.IDLE
        pgconn.enter_pipeline_mode()
        try:
            try:
                return await connection.wait(_exchange(connection, messages))
            except psycopg.Error as error:
                if not (connection.forgets(error) and is_own):
                    raise
                return await connection.wait(_exchange(connection, messages))  # nothing of it happened
        finally:
            if pgconn.status == ConnStatus.OK:
                pgconn.exit_pipeline_mode()


def rows_of(connection: Connection, result: PGresult) -> list[Row]:
    """Return the rows of a result."""
    transformer = Transformer.from_context(connection)
    transformer.set_pgresult(result)
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return transformer.load_rows(0, result.ntuples, lambda row: dict(zip(names, row, strict=True)))


def _exchange(connection: Connection, messages: Sequence[Message]) -> PQGen[list[PGresult]]:
    pgconn = connection.pgconn
    awaited = iter(_send(connection, messages))
    yield from send(pgconn)
    given: list[PGresult] = []
    failed: PGresult | None = None
    while True:
        try:
            results = yield from fetch_many(pgconn)
        except psycopg.OperationalError:
            # The server says why it ends a connection, and then ends it.
            if failed is None:
                raise
            break
        status = results[-1].status if results else ExecStatus.COMMAND_OK
        if status == ExecStatus.PIPELINE_SYNC:
            break
        if status in _COPIES:
            raise psycopg.NotSupportedError("a copy cannot be part of a round trip")
        if status == ExecStatus.FATAL_ERROR and failed is None:
            failed = results[-1]
        read = next(awaited, None)
        if read is None:
            given += results
        elif status == ExecStatus.COMMAND_OK and connection.kept is not None:
            connection.kept[read[0]] = read[1]
    if failed is not None:
        raise error_from_result(failed, encoding="utf-8")
    return given


def _send(connection: Connection, messages: Sequence[Message]) -> list[tuple[bytes, bytes] | None]:
    """Send `messages` and a Sync; return for each result to come the statement that it names, or None for its rows."""
    pgconn, kept = connection.pgconn, connection.kept
    awaited: list[tuple[bytes, bytes] | None] = []
    fresh: dict[bytes, bytes] = {}
    for sql, values in messages:
        texts = [_text(value) for value in values]
        name = fresh.get(sql) or (kept or {}).get(sql)
        if name is None and kept is not None and len(kept) + len(fresh) < KEPT_MAX:
            name = fresh[sql] = connection.new_name()
            pgconn.send_prepare(name, sql)
            awaited.append((sql, name))
        if name is None:
            pgconn.send_query_params(sql, texts)
        else:
            pgconn.send_query_prepared(name, texts)
        awaited.append(None)
    pgconn.pipeline_sync()
    return awaited


def _text(value: object) -> bytes | None:
    return None if value is None else str(value).encode()
