"""Rows as lines of PostgreSQL's COPY text: what is copied, and what both sides are compared by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import repeat

from kira.domain.errors import Invalid

NULL = b"\xfdN"
_MARKS = _BACKSLASH, _ROW, _FIELD = b"\xfd", b"\xfe", b"\xff"
"""Bytes that are in no UTF-8 text, so that nothing in a text can be taken for one of them."""

# Backslash first: the others put one in (PostgreSQL documentation, COPY, text format).
_ESCAPES = [(b"\\", b"\\\\")] + [
    (bytes([code]), b"\\" + letter)
    for code, letter in zip(range(8, 14), (b"b", b"t", b"n", b"v", b"f", b"r"), strict=True)
]
NOT_TEXT = "A text in FROM is not UTF-8, so it cannot be moved."
_PLAIN = {"b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "\\": "\\"}
_ESCAPED = re.compile(r"\\(.)")


def block(rows: Sequence[tuple[bytes, ...]]) -> bytes:
    """Return `rows` as lines; NULL stands for no value. Raises Invalid for what would be taken for something else.

    That all else is UTF-8 is left to whoever stores the lines, who has to look at every byte anyway.
    """
    text = _ROW.join(map(_FIELD.join, rows)) + _ROW
    marks = sum(map(len, rows)) + sum(map(tuple.count, rows, repeat(NULL)))
    if len(text) - len(text.translate(None, b"".join(_MARKS))) != marks:  # one in a text is one too many
        raise Invalid(NOT_TEXT)
    if b"\x00" in text:
        raise Invalid("A text in FROM contains a NUL character, which PostgreSQL cannot store.")
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text.replace(_BACKSLASH, b"\\").replace(_FIELD, b"\t").replace(_ROW, b"\n")


def fields(line: bytes) -> list[str | None]:
    """Return the values of one line without its end. Raises Invalid for what is not UTF-8."""
    try:
        texts = line.decode().split("\t")
    except UnicodeDecodeError:
        raise Invalid(NOT_TEXT) from None
    return [None if text == "\\N" else _ESCAPED.sub(_plain, text) if "\\" in text else text for text in texts]


def digest(lines: bytes) -> int:
    """Return the sum of a hash of each line: whatever their order, the same rows have the same sum."""
    found = 0
    for line in lines.split(b"\n")[:-1]:
        found += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest(), "big")
    return found


def _plain(found: re.Match[str]) -> str:
    return _PLAIN[found[1]]
