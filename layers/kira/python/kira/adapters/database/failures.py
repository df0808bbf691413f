"""What SQLite says went wrong, as errors a person can read; never a statement, a value or a path of a stack."""

from __future__ import annotations

import sqlite3

from kira.domain.errors import Conflict, DiskFull, Invalid, KiraError, Unavailable, UnprovenStatement

_PRIMARY = 0xFF  # the low byte of an extended result code is the primary one

HANDLED = (sqlite3.Error, ValueError, OverflowError)
"""What the standard library raises when a statement does not run: its own errors, and those of unfit parameters."""


def kira_error(error: Exception, name: str = "this") -> KiraError:
    """Return one of HANDLED as an error for people; `name` is the statement that was run."""
    if isinstance(error, UnicodeEncodeError):
        return Invalid("A text contains half of a surrogate pair, which is not text.")
    if isinstance(error, OverflowError):
        return Invalid("A number is too large to be stored.")
    return told_of(error) or KiraError(f"The database could not run {name}.")


def told_of(error: Exception) -> KiraError | None:
    """Return what SQLite's result code says to people; None when it says nothing to them."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return DiskFull()
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable("The database is busy. Try again.", retry_after_s=1)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        told = "Kira's data folder (KIRA_DATA) cannot be written, so nothing was changed. Give Kira the right to write."
        return Unavailable(told, retry_after_s=10)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Unavailable("The database file is damaged. Run `kira doctor`, then `kira restore`.", retry_after_s=60)
    if code == sqlite3.SQLITE_CONSTRAINT:
        return Conflict()
    # A refused function has the code of any error; its text begins as that of a refused table.
    return UnprovenStatement() if code == sqlite3.SQLITE_AUTH or str(error).startswith("not authorized") else None
