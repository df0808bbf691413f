"""The command line: every command says what it does, and what goes wrong is one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer.main
from tests.local.rig import environment, kira

from kira import __version__
from kira.local.command import app

COMMANDS = ["up", "worker", "users", "db", "migrate", "chat", "doctor", "backup", "restore", "export"]


def _commands(group: click.Group, path: str = "kira") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found.append((f"{path} {name}", command))
        if isinstance(command, click.Group):
            found += _commands(command, f"{path} {name}")
    return found


def _root() -> click.Group:
    root = typer.main.get_command(app)
    assert hasattr(root, "commands")
    return root  # type: ignore[return-value]  # typer's own group has the same shape


def test_help_lists_every_command(data: Path) -> None:
    done = kira(data, "--help")
    assert done.code == 0
    assert [name for name in COMMANDS if f" {name} " not in done.out] == []
    assert list(_root().commands) and set(_root().commands) == set(COMMANDS)
    assert not data.exists()


def test_every_command_and_option_has_help() -> None:
    for path, command in _commands(_root()):
        assert command.help, path
        for option in command.params:
            assert getattr(option, "help", None), f"{path} {option.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_changes_nothing(name: str, data: Path) -> None:
    done = kira(data, name, "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage" in done.out
    assert not data.exists()


def test_without_a_command_it_says_what_there_is(data: Path) -> None:
    done = kira(data)
    assert "Usage" in done.out + done.err


def test_the_version_is_the_package_s(data: Path) -> None:
    assert kira(data, "--version").out == f"kira {__version__}\n"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("KIRA_PORT", "99999"),
        ("KIRA_PORT", "http"),
        ("KIRA_SLOTS", "0"),
        ("KIRA_ACCOUNTS", "yes"),
        ("KIRA_OLLAMA", "localhost"),
        ("KIRA_LIMIT_API", "many"),
        ("OLLAMA_NUM_PARALLEL", "-1"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(setting: str, value: str, data: Path) -> None:
    done = kira(data, "up", **{setting: value})
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(f"kira: {setting} is ")
    assert len(done.err.splitlines()) == 1
    assert not data.exists()


def test_a_wrong_setting_that_may_hold_a_password_is_not_printed(data: Path) -> None:
    done = kira(data, "up", KIRA_DATABASE="mysql://kira:secret@host/kira")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("kira: KIRA_DATABASE: write `sqlite`")
    assert "secret" not in done.err


def test_a_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    done = kira(file, "up", KIRA_PORT="0")
    assert done.code == 2
    assert done.err.startswith("kira: KIRA_DATA ")
    assert len(done.err.splitlines()) == 1


def test_a_stream_whose_server_does_not_answer_is_told_without_its_password(data: Path) -> None:
    done = kira(data, "up", KIRA_PORT="0", KIRA_STREAM="redis://:sesame@127.0.0.1:9")
    assert done.code == 2
    assert done.err.startswith("kira: KIRA_STREAM names a Redis server at 127.0.0.1:9, ")
    assert len(done.err.splitlines()) == 1
    assert "sesame" not in done.err


@pytest.mark.parametrize(
    ("missing", "setting", "told"),
    [
        (
            "botocore",
            {"KIRA_QUEUE": "https://sqs.eu-central-1.amazonaws.com/1/runs"},
            "KIRA_QUEUE is an SQS queue, but the library for it is missing. Install it: "
            "pip install 'kira-assistant[aws]'.",
        ),
        (
            "redis",
            {"KIRA_STREAM": "redis://127.0.0.1:9"},
            "KIRA_STREAM names a Redis server, but the library for it is missing. Install it: "
            "pip install 'kira-assistant[redis]'.",
        ),
    ],
    ids=["sqs", "redis"],
)
def test_a_missing_library_is_told(data: Path, missing: str, setting: dict[str, str], told: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; from kira.local.command import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "up"],
        env=environment(data, KIRA_PORT="0", **setting),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == f"kira: {told}\n"
