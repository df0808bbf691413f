"""`kira doctor`: finds what is wrong, says what to do, and changes nothing."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.local.rig import NOBODY, PASSWORD, Done, in_terminal, kira, kira_up
from tests.local.writing import Written

from kira.local.commands import checks
from kira.local.commands.findings import State
from kira.local.settings import read


def _doctor(data: Path, **settings: str) -> Done:
    return kira(data, "doctor", **({"KIRA_PORT": "0"} | settings))


def _line(done: Done, name: str) -> str:
    (found,) = [line for line in done.out.splitlines() if line[9:].startswith(f"{name}: ")]
    return found


def test_before_the_first_start_all_is_well_and_stays_untouched(models: str, data: Path) -> None:
    done = _doctor(data, KIRA_OLLAMA=models)
    assert (done.code, done.err) == (0, "")
    assert not data.exists()
    assert "wrong" not in done.out
    assert _line(done, "database").startswith("ok       database: none yet")
    assert "has test:latest; loaded: test:latest" in done.out or "has test:latest; loaded: none" in done.out
    assert _line(done, "default model") == "ok       default model: test:latest"


def test_what_was_written_is_counted_and_left_alone(models: str, data: Path, written: Callable[..., Written]) -> None:
    written(conversations=2, questions=3)
    before = _contents(data)
    done = _doctor(data, KIRA_OLLAMA=models)
    assert done.code == 0
    assert "12 messages, schema step" in _line(done, "database")
    assert _line(done, "accounts") == "ok       accounts: off: one user, who signs in with the printed address"
    kept = _contents(data)
    assert {path: text for path, text in kept.items() if text or path in before} == before


def _contents(data: Path) -> dict[Path, bytes]:
    """Return what lies in `data`; SQLite's shared memory comes and goes with whoever looks."""
    files = (path for path in sorted(data.rglob("*")) if path.is_file() and not path.name.endswith("-shm"))
    return {path: path.read_bytes() for path in files}


def test_a_wrong_setting_is_the_only_finding(data: Path) -> None:
    done = _doctor(data, KIRA_SLOTS="none")
    assert done.code == 1
    assert done.out.splitlines()[1].startswith("wrong    settings: KIRA_SLOTS is 'none'")
    assert "docs/settings.md" in done.out


def test_a_model_server_that_was_named_must_answer(data: Path) -> None:
    done = _doctor(data, KIRA_OLLAMA=NOBODY)
    assert done.code == 1
    assert _line(done, f"model server {NOBODY}") == f"wrong    model server {NOBODY}: does not answer"
    assert "ollama serve" in done.out


def test_something_else_at_the_address_of_a_model_server_is_told(models: str, data: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        done = _doctor(data, KIRA_OLLAMA=running.address)
    assert done.code == 1
    assert "does not speak like Ollama" in done.out


def test_a_running_kira_is_found(models: str, data: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        port = running.address.rpartition(":")[2]
        done = _doctor(data, KIRA_OLLAMA=models, KIRA_PORT=port)
        assert done.code == 0
        assert f" runs at {running.address}" in _line(done, "address")


def test_a_port_that_is_taken_is_wrong(models: str, data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = _doctor(data, KIRA_OLLAMA=models, KIRA_PORT=port)
    assert done.code == 1
    assert _line(done, "address").startswith(f"wrong    address: KIRA_PORT {port} is taken")


def test_the_card_s_room_is_told(models: str, data: Path) -> None:
    done = _doctor(data, KIRA_OLLAMA=models, KIRA_VRAM_MIB="24576")
    assert "24,576 MiB" in _line(done, f"card of {models}")
    assert "KIRA_VRAM_MIB" in _doctor(data, KIRA_OLLAMA=models).out


def test_what_others_can_read_is_told(models: str, data: Path, written: Callable[..., Written]) -> None:
    written()
    data.chmod(0o755)
    (data / "master.key").chmod(0o644)
    done = _doctor(data, KIRA_OLLAMA=models)
    assert done.code == 1
    assert _line(done, "data folder").startswith("warning")
    assert _line(done, "master key").startswith("wrong")
    assert f"chmod 700 {data}" in done.out


def test_a_lost_key_is_told_and_not_made_anew(models: str, data: Path, written: Callable[..., Written]) -> None:
    written()
    (data / "master.key").unlink(missing_ok=True)
    done = _doctor(data, KIRA_OLLAMA=models)
    assert _line(done, "master key") == "warning  master key: missing"
    assert not (data / "master.key").exists()


def test_a_damaged_database_is_wrong(models: str, data: Path, written: Callable[..., Written]) -> None:
    written(questions=200)
    path = data / "kira.sqlite"
    whole = path.read_bytes()
    half = len(whole) // 2 // 4096 * 4096
    path.write_bytes(whole[:half] + os.urandom(8192) + whole[half + 8192 :])
    done = _doctor(data, KIRA_OLLAMA=models)
    assert done.code == 1
    assert _line(done, "database").startswith("wrong")
    assert "kira restore" in done.out


def test_a_newer_database_is_wrong(models: str, data: Path, written: Callable[..., Written]) -> None:
    written()
    with closing(sqlite3.connect(data / "kira.sqlite")) as connection:
        connection.execute("INSERT INTO schema_steps (number, name, sha256, applied_at) VALUES (9999, 'later', '', 0)")
        connection.commit()
    done = _doctor(data, KIRA_OLLAMA=models)
    assert done.code == 1
    assert _line(done, "database").endswith("of a newer Kira")


def test_accounts_are_told_as_they_really_are(models: str, data: Path) -> None:
    assert kira(data, "users", "add", "--email", "ada@example.org", KIRA_PASSWORD=PASSWORD).code == 0
    assert _line(_doctor(data, KIRA_OLLAMA=models), "accounts").endswith("invite (because there are users), 1 user")
    assert _line(_doctor(data, KIRA_OLLAMA=models, KIRA_ACCOUNTS="open"), "accounts").endswith(
        "open (by KIRA_ACCOUNTS), 1 user"
    )


def test_a_disk_that_fills_up_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.mkdir(mode=0o700)
    found = []
    for free in (2 * checks.FREE_BYTES_LITTLE, checks.FREE_BYTES_LITTLE - 1, checks.FREE_BYTES_NONE - 1):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: type("Usage", (), {"free": free}))
        found.append(next(iter(checks.here(read(data=data)))).state)
    assert found == [State.OK, State.WARNING, State.WRONG]


def test_a_folder_on_a_network_is_wrong(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.mkdir(mode=0o700)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw,noatime - nfs4 server:/home rw\n")
    monkeypatch.setattr("kira.adapters.database.places.MOUNTS", mounts)
    found = next(iter(checks.here(read(data=data))))
    assert found.state is State.WRONG
    assert "network file system" in found.found


def test_in_a_terminal_it_has_colours_and_says_the_same(models: str, data: Path) -> None:
    with in_terminal(data, "doctor", KIRA_OLLAMA=models, KIRA_PORT="0") as terminal:
        assert terminal.end() == 0
    assert "\x1b[32mok" in terminal.seen
    assert "default model" in terminal.seen
