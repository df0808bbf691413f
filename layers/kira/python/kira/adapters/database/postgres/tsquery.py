"""A search as PostgreSQL's full text reads it: every word quoted, places compared for phrases."""

from __future__ import annotations

from kira.domain.search import Query, Term


def match(query: Query) -> str:
    """Return the text of a `tsquery` for `query`; the function `messages_found` keeps it within one user."""
    groups = " & ".join("(" + " | ".join(map(_term, group)) + ")" for group in query.groups)
    return groups + "".join(f" & !({_term(term)})" for term in query.without)


def _term(term: Term) -> str:
    # Words are letters and digits only (domain/texts.py), so a quote cannot be closed from within.
    words = [f"'{word}'" for word in term.words]
    if term.prefix:
        words[-1] += ":*"
    return "(" + " <-> ".join(words) + ")"
