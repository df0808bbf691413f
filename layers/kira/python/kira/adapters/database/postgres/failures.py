"""What PostgreSQL says went wrong, as errors a person can read; never a statement, a value or a host."""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from kira.domain.errors import Conflict, DiskFull, Invalid, KiraError, Unavailable, UnprovenStatement
from kira.ports.database import NoRow

log = logging.getLogger("kira.database")

HANDLED = (psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests)
"""What the library raises when a statement does not run."""

MUST = "KR404"
"""The state that the function `must` raises; its message is the name of the statement."""

_AWAY = "The database cannot be reached just now. Try again."
_ASLEEP = "The database slept while nobody asked, and is waking up. Try again in a few seconds."
_LATE = "The database was held by one request for too long, so nothing of it was kept. Try again."
_BUSY = "The database is busy. Try again."
_READS = "The database only reads just now. Try again."


def _waits(told: str, seconds: int) -> Callable[[], KiraError]:
    return lambda: Unavailable(told, retry_after_s=seconds)


# Beginnings of SQLSTATE (PostgreSQL documentation, appendix A); the first that fits counts.
_TOLD: dict[str, Callable[[], KiraError]] = {
    "25P03": _waits(_LATE, 1),
    "25P04": _waits(_LATE, 1),
    "25006": _waits(_READS, 5),
    "08": _waits(_AWAY, 2),
    "57P": _waits(_AWAY, 2),
    "533": _waits(_AWAY, 2),
    "534": _waits(_AWAY, 2),
    "57014": _waits(_BUSY, 1),
    "55P03": _waits(_BUSY, 1),
    "40": _waits(_BUSY, 1),
    "53200": _waits(_BUSY, 1),
    "53": DiskFull,
    "58030": DiskFull,
    "23": Conflict,
    "42501": UnprovenStatement,
    "22": lambda: Invalid("A value in this request cannot be stored."),
}


def away() -> KiraError:
    """Return the error for a server that does not answer."""
    return Unavailable(_AWAY, retry_after_s=2)


def asleep() -> KiraError:
    """Return the error for a server that sleeps while nobody asks, and did not wake up in time."""
    return Unavailable(_ASLEEP, retry_after_s=5)


def kira_error(error: Exception, name: str = "this") -> KiraError | NoRow:
    """Return one of HANDLED as an error for people; `name` is the statement that was run."""
    if isinstance(error, PoolClosed):
        return Unavailable("Kira is stopping. Try again.", retry_after_s=1)
    if isinstance(error, TooManyRequests | PoolTimeout):
        return Unavailable("The database has too much to do. Try again.", retry_after_s=2)
    state = getattr(error, "sqlstate", None) or ""
    if state == MUST and isinstance(error, psycopg.Error):
        return NoRow(str(error.diag.message_primary))
    found = (_of_state(state) if state else None) or _of_kind(error)
    if found is None:
        log.error("%s could not be run (%s): %s", name, state, error)
    elif isinstance(error, psycopg.OperationalError):
        log.info("%s was not run (%s): %s", name, state or "no state", error)
    return found or KiraError(f"The database could not run {name}.")


def _of_state(state: str) -> KiraError | None:
    for prefix, made in _TOLD.items():
        if state.startswith(prefix):
            return made()
    return None


def _of_kind(error: Exception) -> KiraError | None:
    # The connection broke before the server could say a state: it was restarted, or the way to it was cut.
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return away()
    return None
