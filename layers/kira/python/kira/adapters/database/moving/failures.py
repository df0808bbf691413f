"""Why a move stopped, in words that follow `The migration stopped:`."""

from __future__ import annotations

import sqlite3

import psycopg

HANDLED = (psycopg.Error, sqlite3.Error, OSError)
"""What a database or a disk raises in the middle of a move."""

# Beginnings of SQLSTATE (PostgreSQL documentation, appendix A); the first that fits counts.
_TOLD = {
    "53100": "the disk of the PostgreSQL server is full",
    "53": "the PostgreSQL server has not enough room or memory",
    "58030": "the PostgreSQL server cannot write to its disk",
    "08": "the connection to PostgreSQL broke",
    "57P": "the PostgreSQL server was stopped",
    "22021": "a text is not UTF-8, or contains a NUL character",
    "22P05": "the PostgreSQL database cannot store every character; it has to be made with ENCODING 'UTF8'",
    "55P03": "another program holds the PostgreSQL tables",
    "42501": "the role may not do that in PostgreSQL",
}
_LITE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be written or read",
    sqlite3.SQLITE_BUSY: "another program holds the file",
    sqlite3.SQLITE_LOCKED: "another program holds the file",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_READONLY: "the file cannot be written",
}


def why(error: Exception) -> str:
    """Return what one of HANDLED says, without a value or a password."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, sqlite3.Error):
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # the low byte is the primary code
        return _LITE.get(code) or str(error)
    if isinstance(error, psycopg.Error) and error.sqlstate:
        told = next((told for prefix, told in _TOLD.items() if (error.sqlstate or "").startswith(prefix)), None)
        return told or str(error.diag.message_primary)
    return "the connection to PostgreSQL broke"
