"""`kira chat`: one answer for a pipe, a conversation in a terminal, and nothing lost when Kira goes away."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local.rig import KIRA, MODEL, Done, Running, ask, environment, in_terminal, kira, kira_up, model_server, rows

from kira.local.terminal import harmless

STATES = "SELECT state FROM runs WHERE kind = 'reply' ORDER BY created_at"


@pytest.fixture(scope="module")
def shared(models: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Kira for the tests that do not mind what others asked it."""
    with kira_up(tmp_path_factory.mktemp("shared") / "data", KIRA_OLLAMA=models) as running:
        yield running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _chat(running: Running, *more: str, stdin: str = "", **settings: str) -> Done:
    arguments = ("chat", "--url", running.address, "--model", MODEL, *more)
    return kira(running.data, *arguments, stdin=stdin, **settings)


def test_one_question_gives_the_answer_and_nothing_else(shared: Running) -> None:
    done = _chat(shared, "say: **bold** & <b>\x1b[31mred\x1b[0m")
    assert done.code == 0
    assert done.out.strip() == "**bold** & <b>\x1b[31mred\x1b[0m"


def test_a_dash_reads_standard_input(shared: Running) -> None:
    done = _chat(shared, "-", stdin="say: two\nlines\n")
    assert (done.code, done.out.strip()) == (0, "two\nlines")
    empty = _chat(shared, "-", stdin=" \n")
    assert (empty.code, empty.out) == (2, "")


def test_lines_of_a_pipe_are_one_conversation(shared: Running) -> None:
    ((before,),) = rows(shared.data, "SELECT COUNT(*) FROM conversations")
    done = _chat(shared, stdin="say: one\n\nsay: two\n/new\nsay: three\n/nonsense\n/quit\nsay: four\n")
    assert done.code == 0
    assert done.out.split() == ["one", "two", "three"]
    assert "There is no /nonsense" in done.err
    assert rows(shared.data, "SELECT COUNT(*) - ? FROM conversations", before) == [(2,)]


def test_models_are_listed_and_chosen(shared: Running) -> None:
    asked = f"/model\n/model nowhere\n/model demo\n/model\n/model {MODEL}\nsay: chosen\n"
    done = kira(shared.data, "chat", "--url", shared.address, stdin=asked)
    assert "There is no model nowhere." in done.err
    assert "demo answers from now on." in done.err
    assert f"* {MODEL}\n  demo (demo)" in done.err
    assert f"  {MODEL}\n* demo (demo)" in done.err
    assert done.out.strip() == "chosen"


def test_a_question_that_is_refused_gives_no_output(models: str, data: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models, KIRA_LIMIT_CONVERSATION="1/1h") as running:
        assert _chat(running, "first").code == 0
        done = _chat(running, "second")
    assert (done.code, done.out) == (1, "")
    assert "limit of 1 for conversation" in done.err


def test_a_model_that_nobody_has_is_told(shared: Running) -> None:
    done = kira(shared.data, "chat", "--url", shared.address, "--model", "nowhere", "hello")
    assert (done.code, done.out) == (1, "")
    assert "ollama pull nowhere" in done.err


def test_nobody_at_the_address_is_one_sentence(data: Path) -> None:
    done = kira(data, "chat", "--url", f"http://127.0.0.1:{_free_port()}", "hello")
    assert (done.code, done.out) == (2, "")
    assert "kira up" in done.err
    assert len(done.err.splitlines()) == 1
    assert not data.exists()


def test_another_data_folder_is_told_and_gets_no_key(shared: Running, tmp_path: Path) -> None:
    done = ask(tmp_path / "other", shared.address, "hello")
    assert (done.code, done.out) == (2, "")
    assert "--data" in done.err
    assert not (tmp_path / "other").exists()


def test_the_kira_on_the_same_data_is_found_by_itself(shared: Running) -> None:
    done = kira(shared.data, "chat", "--model", MODEL, "say: found", KIRA_PORT="1")
    assert (done.code, done.out.strip()) == (0, "found")


def test_a_conversation_in_a_terminal(shared: Running) -> None:
    with in_terminal(shared.data, "chat", "--model", MODEL) as terminal:
        terminal.wait_for("/help")
        terminal.wait_for("> ")
        terminal.type("/help\n")
        terminal.wait_for("begin a new conversation")
        terminal.wait_for("> ")
        terminal.type("say: a **word** and [a link](http://far.example)\n")
        terminal.wait_for("(http://far.example)")  # as it comes
        terminal.wait_for("> ")
        assert "\x1b[1mword\x1b[0m" in terminal.seen
        assert "\x1b]8" not in terminal.seen  # a link says where it goes
        terminal.type("\x04")
        assert terminal.end() == 0
    assert rows(shared.data, "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL") == [(0,)]


def test_what_a_model_says_cannot_command_the_terminal(shared: Running) -> None:
    asked = "say: \x1b]0;owned\x07\x1b[2Jdone \x9b5n\u202etxet"
    with in_terminal(shared.data, "chat", "--model", MODEL, asked) as terminal:
        terminal.wait_for("done")
        assert terminal.end() == 0
    for sign in ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\u202e"):
        assert sign not in terminal.seen


@pytest.mark.parametrize("text", ["plain\ttext\n", "größer ≥ 3", "emoji 🙂"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert harmless(text) == text


def test_ctrl_c_stops_the_answer_and_keeps_what_was_written(data: Path) -> None:
    with (
        model_server(rate=20, tokens=2000) as slow,
        kira_up(data, KIRA_OLLAMA=slow) as running,
        in_terminal(data, "chat", "--url", running.address, "--model", MODEL) as terminal,
    ):
        terminal.wait_for("> ")
        terminal.type("long\n")
        terminal.wait_for("long long")
        terminal.type("\x03")
        terminal.wait_for("Stopped; what was written so far is kept.")
        terminal.wait_for("> ")
        assert rows(data, STATES) == [("cancelled",)]
        assert rows(data, "SELECT cancelled FROM messages WHERE role = 'assistant'") == [(1,)]
        terminal.type("/quit\n")
        assert terminal.end() == 0


def test_a_second_ctrl_c_leaves(data: Path) -> None:
    with (
        model_server(rate=20, tokens=2000) as slow,
        kira_up(data, KIRA_OLLAMA=slow) as running,
        in_terminal(data, "chat", "--url", running.address, "--model", MODEL, "long") as terminal,
    ):
        terminal.wait_for("long long")
        terminal.type("\x03\x03")
        assert terminal.end() == 130


def test_the_place_in_line_is_shown(data: Path) -> None:
    with (
        model_server(rate=20, tokens=2000, slots=1) as slow,
        kira_up(data, KIRA_OLLAMA=slow) as running,
        in_terminal(data, "chat", "--url", running.address, "--model", MODEL, "long") as first,
    ):
        first.wait_for("long long")
        with in_terminal(data, "chat", "--url", running.address, "--model", MODEL, "wait") as second:
            second.wait_for("Next in line, about")


def test_a_pipe_is_told_why_it_waits(data: Path) -> None:
    with kira_up(data) as running:
        command = [KIRA, "chat", "--url", running.address, "--model", MODEL, "hello"]
        with subprocess.Popen(command, env=environment(data), stderr=subprocess.PIPE, text=True) as asking:
            assert asking.stderr is not None
            assert "ollama serve" in asking.stderr.readline()
            asking.send_signal(signal.SIGINT)
            assert asking.wait(60) == 130


def test_kira_killed_and_back_in_the_middle_of_an_answer(data: Path) -> None:
    port = _free_port()
    with (
        model_server(rate=100, tokens=300) as slow,
        kira_up(data, port, KIRA_OLLAMA=slow) as running,
        in_terminal(data, "chat", "--url", running.address, "--model", MODEL) as terminal,
    ):
        terminal.wait_for("> ")
        terminal.type("again\n")
        terminal.wait_for("again again")
        running.stop(signal.SIGKILL)
        terminal.wait_for("connection is lost")
        with kira_up(data, port, KIRA_OLLAMA=slow):
            terminal.wait_for("again again")
            terminal.wait_for("> ")
            terminal.type("/quit\n")
            assert terminal.end() == 0
            assert rows(data, STATES) == [("done",)]
            kept = rows(data, "SELECT content FROM messages WHERE role = 'assistant'")
            assert [str(content).split() for (content,) in kept] == [["again"] * 300]


def test_a_pipe_gets_the_answer_once_though_kira_was_killed(data: Path, tmp_path: Path) -> None:
    port = _free_port()
    with model_server(rate=100, tokens=300) as slow, kira_up(data, port, KIRA_OLLAMA=slow) as running:
        command = [KIRA, "chat", "--url", running.address, "--model", MODEL, "again"]
        with subprocess.Popen(command, env=environment(data), stdout=subprocess.PIPE, text=True) as asking:
            while rows(data, STATES) != [("running",)]:
                time.sleep(0.01)
            running.stop(signal.SIGKILL)
            with kira_up(data, port, KIRA_OLLAMA=slow):
                out, _ = asking.communicate(timeout=60)
    assert out.split() == ["again"] * 300
