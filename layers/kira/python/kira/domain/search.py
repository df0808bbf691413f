"""One query syntax for full text: words, "a phrase", -word, OR between terms, and word*."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kira.domain.errors import Invalid
from kira.domain.limits import SEARCH_CHARACTERS_MAX, SEARCH_TERMS_MAX
from kira.domain.texts import searchable, storable

_TOKEN = re.compile(r'(-?)"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must follow each other; with `prefix` the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Every group must match by one of its terms, and none of `without`."""

    groups: tuple[tuple[Term, ...], ...]
    without: tuple[Term, ...] = ()

    @property
    def words(self) -> frozenset[str]:
        """The words that are looked for, to show where they stand."""
        return frozenset(word for group in self.groups for term in group for word in term.words)


def parse(text: str) -> Query | None:
    """Read what a person typed; None when there is nothing to look for (a purely negative query finds nothing)."""
    if len(text) > SEARCH_CHARACTERS_MAX:
        raise Invalid(f"The search is longer than {SEARCH_CHARACTERS_MAX} characters.")
    groups: list[tuple[Term, ...]] = []
    without: list[Term] = []
    alternative = False
    for minus, phrase, word in _TOKEN.findall(storable(text, "The search")):
        if word == "OR":
            alternative = bool(groups)
            continue
        negative = bool(minus) or (len(word) > 1 and word.startswith("-"))
        term = _term(phrase or word, prefix=word.endswith("*"))
        if term is None:
            continue
        if negative:
            without.append(term)
        elif alternative:
            groups[-1] = (*groups[-1], term)
        else:
            groups.append((term,))
        alternative = False
    if sum(map(len, groups)) + len(without) > SEARCH_TERMS_MAX:
        raise Invalid(f"The search has more than {SEARCH_TERMS_MAX} terms.")
    return Query(tuple(groups), tuple(without)) if groups else None


def excerpt(content: str, words: frozenset[str], around: int = 80) -> str:
    """Return a part of `content` near the first of `words`, about `around` characters to each side."""
    at = 0
    for found in re.finditer(r"\w+", content):
        if any(word in words or any(word.startswith(each) for each in words) for word in searchable(found[0]).split()):
            at = found.start()
            break
    start, end = max(0, at - around), min(len(content), at + around)
    text = " ".join(content[start:end].split())
    return ("…" if start else "") + text + ("…" if end < len(content) else "")


def _term(text: str, *, prefix: bool) -> Term | None:
    words = tuple(searchable(text).split())
    return Term(words, prefix) if words else None
