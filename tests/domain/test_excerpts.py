"""An excerpt is plain text around what was found, and names the words to mark."""

from __future__ import annotations

import pytest

from kira.domain.excerpts import AROUND, Excerpt, excerpt, plain
from kira.domain.search import parse


def part(content: str, text: str) -> Excerpt:
    query = parse(text)
    assert query is not None
    return excerpt(content, query)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("**bold**, *slanted*, ***both***, `code` and ~~gone~~", "bold, slanted, both, code and gone"),
        ("## A heading\n\n- one\n* two\n1. three\n> said", "A heading one two 1. three said"),
        ('[Ollama](https://ollama.com) ![a cat](/cat.png "Cat")', "Ollama a cat"),
        ("```python\nprint(2 ** 3)\n```\n---\nend", "print(2 ** 3) end"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a b 1 2"),
        ("2 * 3 * 4, 2**3, snake_case, a | b, <b>x</b>, -1", "2 * 3 * 4, 2**3, snake_case, a | b, <b>x</b>, -1"),
    ],
)
def test_marks_of_markdown_go_and_the_text_stays(markdown: str, text: str) -> None:
    assert " ".join(plain(markdown).split()) == text


def test_an_excerpt_is_one_plain_line() -> None:
    assert part("## Is\n\n- **this** it", "this") == Excerpt("Is this it", ("this",))


def test_the_words_that_were_found_are_named_as_they_are_written() -> None:
    assert part("The **Café** and a cafe, not the cafeteria", "café").marked == ("Café", "cafe")
    assert part("The **Café** and the cafeteria", "caf*").marked == ("Café", "cafeteria")
    assert part("nothing", "else").marked == ()


def test_a_long_text_is_cut_between_words_around_what_was_found() -> None:
    found = part("before " * 500 + "**needle** " + "after " * 500, "needle")
    assert found.text.startswith("…before ")
    assert found.text.endswith(" after…")
    assert found.marked == ("needle",)
    assert 2 * AROUND - 20 < len(found.text) <= 2 * AROUND + 2
    assert part("x" * 5_000, "x*").text.startswith("xxx")
