"""Excerpts: the part of a message where a search found it, as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kira.domain.search import Query
from kira.domain.texts import searchable

AROUND = 80
"""Characters shown on each side of what was found."""

WINDOW = 4 * AROUND
"""Characters read on each side: Markdown takes some away, and a whole message may be a million long."""

_WORD = re.compile(r"\w+")
_LINE = re.compile(
    r"^[ \t]*(?:(?:```|~~~).*$"  # the fence of a code block
    r"|(?=[^\n|]*\|)[|:\- \t]+$"  # the line below the head of a table
    r"|(?:-{3,}|\*{3,})[ \t]*$"  # a rule
    r"|(?:>[ \t]?)*(?:#{1,6}[ \t]+|[-*+][ \t]+)?)",  # quotes, headings, lists
    re.MULTILINE,
)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*(?:[ \t]+\"[^\"\n]*\")?\)")
_MARKS = re.compile(r"`+|~~|(?<![\w*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w*])")
_CELLS = re.compile(r"^[ \t]*\|(.*)\|[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Plain text in one line, and the words in it that were looked for, each once as it is written there."""

    text: str
    marked: tuple[str, ...]


def excerpt(content: str, query: Query) -> Excerpt:
    """Return the part of `content` near the first word that `query` looks for."""
    at = next((found.start() for found in _found(content, query)), 0)
    first, last = max(0, at - WINDOW), at + WINDOW
    part = " ".join(plain(content[first:last]).split())
    found = next(_found(part, query), None)
    at, end = found.span() if found else (0, 0)
    start, stop = max(0, at - AROUND), min(len(part), max(end, at + AROUND))
    if start:
        start = part.find(" ", start, at) + 1 or start
    if stop < len(part):
        stop = max(end, part.rfind(" ", end, stop))
    before = "…" if start or first else ""
    after = "…" if stop < len(part) or last < len(content) else ""
    text = part[start:stop]
    return Excerpt(before + text + after, tuple(dict.fromkeys(each[0] for each in _found(text, query))))


def plain(markdown: str) -> str:
    """Return `markdown` without its marks; underscores stay, because most of them belong to names."""
    text = _LINK.sub(r"\1", _LINE.sub("", markdown))
    text = _CELLS.sub(lambda row: row[1].replace("|", " "), text)
    return _MARKS.sub("", text)


def _found(text: str, query: Query) -> Iterator[re.Match[str]]:
    """Yield the words of `text` that are looked for."""
    return (word for word in _WORD.finditer(text) if any(map(query.looks_for, searchable(word[0]).split())))
