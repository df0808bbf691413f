"""Lines of JSON become pieces, however they are cut and whatever stands between them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kira.adapters.engine.ollama.lines import LINE_BYTES_MAX, Failure, Lines
from kira.domain.errors import StreamCut
from kira.ports.engine import Finished, Piece, Text, Thinking
from kira.testing.asking import text_of


def line(content: str, **more: object) -> bytes:
    """Return one line of an answer."""
    message = {"role": "assistant", "content": content}
    return json.dumps({"message": message, "done": False, **more}, ensure_ascii=False).encode() + b"\n"


def read(chunks: list[bytes]) -> list[Piece]:
    """Return the pieces of what arrives in `chunks`."""
    lines = Lines()
    return [piece for chunk in chunks for piece in lines.feed(chunk)] + list(lines.end())


@given(st.lists(st.text(max_size=8), max_size=8), st.lists(st.integers(0, 400), max_size=10))
def test_the_text_is_the_same_wherever_the_stream_is_cut(words: list[str], cuts: list[int]) -> None:
    data = b"".join(line(word) for word in words)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    chunks = [data[start:end] for start, end in pairwise(places)]
    assert text_of(read(chunks)) == "".join(words)


def test_texts_that_come_together_are_joined() -> None:
    assert read([line("a") + line("b"), line("c")]) == [Text("ab"), Text("c")]


@pytest.mark.parametrize(
    "junk", [b"\n", b"not json\n", b"[]\n", b"7\n", b"\xff\xfe\n", b'{"message": "odd"}\n', b"{}\n"]
)
def test_junk_between_lines_is_passed_over(junk: bytes) -> None:
    assert text_of(read([line("a") + junk + line("b"), junk, line("c")])) == "abc"


def test_the_end_tells_the_counts_and_why() -> None:
    end = line("", done=True, done_reason="length", prompt_eval_count=3, eval_count=4)
    assert read([end]) == [Finished(3, 4, "length")]
    assert read([line("", done=True, done_reason="stop").rstrip()]) == [Finished(0, 0, "stop")]


def test_text_in_the_last_line_is_not_lost() -> None:
    assert read([line("bye", done=True, eval_count=1)]) == [Text("bye"), Finished(0, 1, "stop")]


def test_thinking_comes_as_thinking() -> None:
    thought = json.dumps({"message": {"role": "assistant", "content": "", "thinking": "hm"}}).encode() + b"\n"
    assert read([thought]) == [Thinking("hm")]


def test_an_error_line_is_a_failure() -> None:
    with pytest.raises(Failure, match="out of memory"):
        read([line("a"), b'{"error": "out of memory"}\n'])


def test_a_line_without_end_is_bounded() -> None:
    with pytest.raises(StreamCut):
        read([b"x" * (LINE_BYTES_MAX + 1)])
