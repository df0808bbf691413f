"""What is left out of a long conversation, by the stated rule, and that nothing needed ever is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kira.domain.context import TOKENS_PER_MESSAGE, estimate, fit, room_for_answer
from kira.domain.errors import TooLong
from kira.ports.engine import Line, Role

SYSTEM = Line("system", "Be kind. " * 5)


def conversation(pairs: int, size: int = 300) -> list[Line]:
    """Return a conversation of `pairs` questions with answers and one more question."""
    said = [Line("assistant" if at % 2 else "user", f"{at:03d}" + "x" * (size - 3)) for at in range(2 * pairs)]
    return [SYSTEM, *said, Line("user", "and now?")]


def test_what_fits_is_left_as_it_is() -> None:
    messages = conversation(3)
    fitted = fit(messages, 8192, 1000)
    assert fitted.messages == tuple(messages)
    assert (fitted.left_out, fitted.notice) == (0, None)


def test_an_unknown_context_bounds_nothing() -> None:
    assert fit(conversation(500), None, 1000).left_out == 0


def test_the_oldest_pairs_go_first_and_their_number_is_told() -> None:
    messages = conversation(10)
    fitted = fit(messages, 1024, 200)
    assert fitted.messages[0] is SYSTEM
    assert fitted.messages[1:] == tuple(messages[1 + fitted.left_out :])
    assert fitted.messages[1].role == "user"
    assert fitted.left_out % 2 == 0
    assert fitted.notice is not None
    assert str(fitted.left_out) in fitted.notice


def test_no_more_goes_than_must() -> None:
    messages = conversation(10)
    fitted = fit(messages, 1024, 200)
    pair = 2 * (estimate("x" * 300) + TOKENS_PER_MESSAGE)
    assert fitted.tokens <= 1024 - 200 < fitted.tokens + pair


def test_one_message_left_out_is_told_as_one() -> None:
    messages = [Line("user", "x" * 3000), Line("user", "short")]
    assert fit(messages, 1024, 100).notice == (
        "The oldest message was left out: the conversation is longer than this model can read."
    )


def test_room_is_kept_for_the_answer_but_never_all() -> None:
    assert room_for_answer(8192, 100) == 100
    assert room_for_answer(8192, 100_000) == 2048


def test_a_last_message_that_does_not_fit_is_refused_in_numbers() -> None:
    with pytest.raises(TooLong, match=r"about 4,\d\d\d tokens long and the model can read 3,072"):
        fit([*conversation(3)[:-1], Line("user", "x" * 13_000)], 4096, 2000)


def test_a_system_text_that_fills_the_context_is_refused() -> None:
    with pytest.raises(TooLong):
        fit([Line("system", "x" * 30_000), Line("user", "hello")], 4096, 100)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("def fit(messages, context):\n    return [each for each in messages]\n", 17),
        ("Привет, как дела?", 6),
        ("今日はいい天気ですね", 8),
        ("🙂🙂🙂", 6),
    ],
)
def test_the_estimate_is_not_below_what_tokenizers_count(text: str, tokens: int) -> None:
    assert estimate(text) >= tokens


ROLES: st.SearchStrategy[Role] = st.sampled_from(("system", "user", "assistant", "tool"))
LINES = st.lists(st.builds(Line, ROLES, st.text(max_size=400)), min_size=1, max_size=30)


@given(LINES, st.integers(64, 4096), st.integers(1, 4096))
def test_what_remains_fits_keeps_its_order_the_system_text_and_the_last_message(
    messages: list[Line], context: int, tokens_max: int
) -> None:
    try:
        fitted = fit(messages, context, tokens_max)
    except TooLong:
        return
    assert fitted.tokens <= context - room_for_answer(context, tokens_max)
    assert len(fitted.messages) + fitted.left_out == len(messages)
    places = [next(at for at, each in enumerate(messages) if each is kept) for kept in fitted.messages]
    assert places == sorted(places)
    assert [each for each in fitted.messages if each.role == "system"] == [
        each for each in messages if each.role == "system"
    ]
    said = [each for each in messages if each.role != "system"]
    assert not said or fitted.messages.count(said[-1])
