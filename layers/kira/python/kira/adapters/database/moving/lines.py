"""Rows as lines of PostgreSQL's COPY text: what is copied, and what both sides are compared by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from kira.domain.errors import Invalid

NULL = b"\xfdN"
_BACKSLASH, _ROW, _FIELD = b"\xfd", b"\xfe", b"\xff"
"""Bytes that are in no UTF-8 text, so that nothing in a text can be taken for one of them."""
_MARKS = _BACKSLASH + _ROW + _FIELD

# Backslash first: the others put one in (PostgreSQL documentation, COPY, text format).
_ESCAPES = [(b"\\", b"\\\\")] + [
    (bytes([code]), b"\\" + letter)
    for code, letter in zip(range(8, 14), (b"b", b"t", b"n", b"v", b"f", b"r"), strict=True)
]
_NOT_TEXT = "A text in FROM is not UTF-8, so it cannot be moved."
_PLAIN = {"b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "\\": "\\"}
_ESCAPED = re.compile(r"\\(.)")


def block(rows: Sequence[Sequence[bytes]]) -> bytes:
    """Return `rows` as lines; NULL stands for no value. Raises Invalid for what PostgreSQL cannot store."""
    text = _ROW.join(map(_FIELD.join, rows)) + _ROW
    marks = len(text) - len(text.translate(None, _MARKS))  # one of them in a text makes one too many
    if marks != sum(map(len, rows)) + sum(row.count(NULL) for row in rows):
        raise Invalid(_NOT_TEXT)
    if b"\x00" in text:
        raise Invalid("A text in FROM contains a NUL character, which PostgreSQL cannot store.")
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    text = text.replace(_BACKSLASH, b"\\").replace(_FIELD, b"\t").replace(_ROW, b"\n")
    if not _is_utf8(text):
        raise Invalid(_NOT_TEXT)
    return text


def fields(line: bytes) -> list[str | None]:
    """Return the values of one line without its end."""
    return [
        None if field == "\\N" else _ESCAPED.sub(_plain, field) if "\\" in field else field
        for field in line.decode().split("\t")
    ]


def digest(lines: bytes) -> int:
    """Return the sum of a hash of each line: whatever their order, the same rows have the same sum."""
    found = 0
    for line in lines.split(b"\n")[:-1]:
        found += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest(), "big")
    return found


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(found: re.Match[str]) -> str:
    return _PLAIN[found[1]]
