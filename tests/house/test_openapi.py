"""The dashboard's types are made from the API as it is."""

from __future__ import annotations

from kira.testing.openapi import TARGET, text


def test_the_committed_document_is_the_one_of_the_app() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(), "run `make api`"
