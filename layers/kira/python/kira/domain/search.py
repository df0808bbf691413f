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

    def looks_for(self, word: str) -> bool:
        """Say whether `word`, as it is searched, is one of those that are looked for, to show where it stands."""
        terms = [term for group in self.groups for term in group]
        return any(word in term.words or (term.prefix and word.startswith(term.words[-1])) for term in terms)


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


def _term(text: str, *, prefix: bool) -> Term | None:
    words = tuple(searchable(text).split())
    return Term(words, prefix) if words else None
