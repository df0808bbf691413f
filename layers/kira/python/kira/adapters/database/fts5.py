"""A search as SQLite's FTS5 reads it: every word quoted, one user's postings only."""

from __future__ import annotations

from kira.domain.search import Query, Term


def match(query: Query, user_id: str) -> str:
    """Return the MATCH text for `query` within the messages of `user_id`."""
    groups = " AND ".join("(" + " OR ".join(map(_term, group)) + ")" for group in query.groups)
    without = "".join(f" NOT {_term(term)}" for term in query.without)
    return f'(owner : "{user_id.replace("-", "")}") AND (search_text : (({groups}){without}))'


def _term(term: Term) -> str:
    # Words are letters and digits only (domain/texts.py), so a quote cannot be closed from within.
    return '"' + " ".join(term.words) + '"' + ("*" if term.prefix else "")
