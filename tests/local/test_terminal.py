"""What commands print: bars and tables on a terminal, plain lines elsewhere, paragraphs when they are whole."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from kira.domain.errors import Invalid
from kira.local import terminal
from kira.local.screen import split


def _console(*, is_terminal: bool) -> tuple[Console, StringIO]:
    written = StringIO()
    return Console(file=written, force_terminal=is_terminal, width=80), written


def test_work_that_is_quick_shows_no_progress() -> None:
    for is_terminal in (True, False):
        console, written = _console(is_terminal=is_terminal)
        with terminal.progress("Copying", console) as tell:
            tell(1, 2)
            tell(2, 2)
        assert written.getvalue() == ""


def test_work_that_takes_longer_shows_how_far_it_is() -> None:
    console, written = _console(is_terminal=True)
    with terminal.progress("Copying", console, after_s=0) as tell:
        tell(1, 4)
    assert "Copying" in written.getvalue()
    assert "25%" in written.getvalue()
    console, written = _console(is_terminal=False)
    with terminal.progress("Copying", console, after_s=0) as tell:
        tell(0, 0)
        tell(1, 4)
        tell(2, 4)
    assert written.getvalue() == "Copying: 25 %\n"


def test_a_rate_is_shown_with_its_unit() -> None:
    for is_terminal, told in ((True, " rows/s"), (False, " rows/s, 0 s to go)\n")):
        console, written = _console(is_terminal=is_terminal)
        with terminal.progress("Copying", console, after_s=0, unit="rows") as tell:
            tell(7, 0)
            tell(10_000_007, 10_000_007)
        assert told in written.getvalue()
        assert "Copying" in written.getvalue()


def test_a_bar_is_taken_away_when_the_work_fails() -> None:
    console, written = _console(is_terminal=True)
    with pytest.raises(KeyError), terminal.progress("Copying", console, after_s=0) as tell:
        tell(1, 4)
        raise KeyError
    assert written.getvalue().endswith("\x1b[2K")


def test_a_table_of_a_pipe_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("A", "B"), [("1", "x\x1b[31m"), ("2", "y")])
    assert capsys.readouterr().out == "1\tx\n2\ty\n"


def test_a_question_that_nobody_can_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    with pytest.raises(Invalid, match="--yes"):
        terminal.confirm("Really?")
    with pytest.raises(Invalid, match="KIRA_PASSWORD"):
        terminal.new_password()


@pytest.mark.parametrize(("number", "told"), [(0, "0 users"), (1, "1 user"), (2, "2 users"), (1234, "1,234 users")])
def test_numbers_are_told_with_their_noun(number: int, told: str) -> None:
    assert terminal.counted(number, "user") == told


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("one", ""),
        ("one\n", ""),
        ("one\n\ntwo", "one\n\n"),
        ("one\n\ntwo\n\nthree", "one\n\ntwo\n\n"),
        ("```\ncode\n\nmore", ""),
        ("```\ncode\n\nmore\n```\nafter", "```\ncode\n\nmore\n```\n"),
        ("````\n```\n\n```\n````\n", "````\n```\n\n```\n````\n"),
        ("~~~\n```\n~~~\n", "~~~\n```\n~~~\n"),
        ("text\n```python\ncode\n``` not the end\n\n", ""),
        ("", ""),
    ],
)
def test_a_paragraph_is_done_when_it_is_whole(text: str, done: str) -> None:
    assert split(text) == (done, text[len(done) :])


def test_pieces_of_any_size_give_the_same_paragraphs() -> None:
    whole = "# Title\n\nSome text.\n\n```python\nx = 1\n\ny = 2\n```\n\n- a\n- b\n\nThe end"
    for size in range(1, len(whole)):
        drawn, part = "", ""
        for start in range(0, len(whole), size):
            done, part = split(part + whole[start : start + size])
            drawn += done
        assert drawn + part == whole
        assert part == "The end"
