"""What SQLite says becomes what people can read."""

from __future__ import annotations

import sqlite3

import pytest

from kira.adapters.database.failures import kira_error
from kira.domain.errors import Conflict, DiskFull, Invalid, KiraError, Unavailable, UnprovenStatement


def of(code: int, text: str = 'near "secret": SELECT token FROM users') -> KiraError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return kira_error(error, "conversations.one")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_IOERR, DiskFull),
        (sqlite3.SQLITE_IOERR_WRITE, DiskFull),
        (sqlite3.SQLITE_BUSY, Unavailable),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable),
        (sqlite3.SQLITE_LOCKED, Unavailable),
        (sqlite3.SQLITE_READONLY, Unavailable),
        (sqlite3.SQLITE_READONLY_DBMOVED, Unavailable),
        (sqlite3.SQLITE_CANTOPEN, Unavailable),
        (sqlite3.SQLITE_CORRUPT, Unavailable),
        (sqlite3.SQLITE_NOTADB, Unavailable),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Conflict),
        (sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, Conflict),
        (sqlite3.SQLITE_CONSTRAINT_CHECK, Conflict),
        (sqlite3.SQLITE_AUTH, UnprovenStatement),
        (sqlite3.SQLITE_ERROR, KiraError),
        (sqlite3.SQLITE_MISUSE, KiraError),
    ],
)
def test_every_code_has_its_error_and_none_tells_a_statement(code: int, kind: type[KiraError]) -> None:
    told = of(code)
    assert type(told) is kind
    assert not any(word in told.message for word in ("secret", "SELECT", "token", "near"))


def test_a_busy_file_says_when_to_come_again_and_a_locked_folder_what_to_do() -> None:
    busy, locked = of(sqlite3.SQLITE_BUSY), of(sqlite3.SQLITE_READONLY)
    assert isinstance(busy, Unavailable)
    assert busy.retry_after_s == 1
    assert "KIRA_DATA" in locked.message


def test_unfit_values_are_invalid() -> None:
    assert type(kira_error(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"))) is Invalid
    assert type(kira_error(OverflowError("Python int too large"))) is Invalid
    assert "conversations.one" in kira_error(sqlite3.ProgrammingError("binding 3"), "conversations.one").message
