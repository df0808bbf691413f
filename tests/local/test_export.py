"""`kira export`: everything of one user, nothing of anybody else, and never all of it in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.local.asking import again
from tests.local.rig import KIRA, PASSWORD, ask, environment, kira, kira_up, rows
from tests.local.writing import Written


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_json_has_every_message_once(data: Path, tmp_path: Path, written: Callable[..., Written]) -> None:
    before = written(conversations=3, questions=40)
    target = tmp_path / "all.json"
    done = kira(data, "export", str(target))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Wrote 3 conversations with 240 messages of the single user to {target}")
    found = _read(target)
    assert [each["id"] for each in found["conversations"]] == before.conversations
    messages = [message for each in found["conversations"] for message in each["messages"]]
    assert [message["id"] for message in messages] == before.messages
    assert messages[1]["parent_id"] == messages[0]["id"]
    assert messages[1] | {"created_at": ""} == {
        "id": before.messages[1],
        "parent_id": before.messages[0],
        "role": "assistant",
        "content": "answer..............",
        "model": "test",
        "cancelled": False,
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "created_at": "",
    }
    assert messages[1]["created_at"].endswith("Z")
    assert target.stat().st_mode & 0o077 == 0


def test_markdown_reads_as_the_shown_branch(data: Path, tmp_path: Path, written: Callable[..., Written]) -> None:
    written(conversations=2, questions=40)
    target = tmp_path / "all.md"
    assert kira(data, "export", str(target)).code == 0
    text = target.read_text()
    assert text.startswith("# Talk 0\n")
    assert text.count("\n## You\n") == text.count("\n## Kira (test)\n") == 80
    assert text.count("\n---\n") == 1
    talk = text.partition("\n---\n")[0]
    places = [talk.index(f"question {number}\n") for number in range(40)]
    assert places == sorted(places)


def test_branches_are_in_json_and_only_the_shown_one_in_markdown(models: str, data: Path, tmp_path: Path) -> None:
    with kira_up(data, KIRA_OLLAMA=models) as running:
        assert ask(data, running.address, "the only question").code == 0
        _regenerate(data, running.address)
    as_json, as_markdown = tmp_path / "a.json", tmp_path / "a.md"
    assert kira(data, "export", str(as_json)).code == kira(data, "export", str(as_markdown)).code == 0
    roles = [message["role"] for message in _read(as_json)["conversations"][0]["messages"]]
    assert roles == ["user", "assistant", "assistant"]
    assert as_markdown.read_text().count("## Kira (test:latest)") == 1


def test_nothing_of_another_user_is_written(data: Path, tmp_path: Path, written: Callable[..., Written]) -> None:
    written(conversations=2, questions=1)
    for email in ("ada@example.org", "bob@example.org"):
        assert kira(data, "users", "add", "--email", email, KIRA_PASSWORD=PASSWORD).code == 0
    unnamed = kira(data, "export", str(tmp_path / "x.json"))
    assert (unnamed.code, (tmp_path / "x.json").exists()) == (2, False)
    assert "--email" in unnamed.err
    assert kira(data, "export", str(tmp_path / "bob.json"), "--email", "Bob@example.org").code == 0
    assert _read(tmp_path / "bob.json")["conversations"] == []
    assert kira(data, "export", str(tmp_path / "ada.json"), "--email", "ada@example.org").code == 0
    assert len(_read(tmp_path / "ada.json")["conversations"]) == 2
    unknown = kira(data, "export", str(tmp_path / "y.json"), "--email", "eve@example.org")
    assert (unknown.code, (tmp_path / "y.json").exists()) == (2, False)


def test_an_export_overwrites_nothing_and_leaves_no_half(
    data: Path, tmp_path: Path, written: Callable[..., Written]
) -> None:
    written()
    target = tmp_path / "kept.json"
    target.write_text("precious")
    assert kira(data, "export", str(target)).code == 2
    assert target.read_text() == "precious"
    for wrong in ("kept.txt", "kept", "nowhere/kept.json"):
        done = kira(data, "export", str(tmp_path / wrong))
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "kept.json"]


def test_what_is_exported_does_not_fill_the_memory(data: Path, tmp_path: Path, written: Callable[..., Written]) -> None:
    written(conversations=1, questions=10, size=40_000)
    little = _peak_kib(data, tmp_path / "little.json")
    written(conversations=1, questions=1_500, size=40_000)
    assert (data / "kira.sqlite").stat().st_size > 60_000_000
    much = _peak_kib(data, tmp_path / "much.json")
    assert (tmp_path / "much.json").stat().st_size > 60_000_000
    assert much - little < 20_000, (little, much)
    assert _peak_kib(data, tmp_path / "much.md") - little < 20_000


def _peak_kib(data: Path, target: Path) -> int:
    """Return the most memory that one export had resident."""
    # A child begins with its parent's peak, so the parent that is asked is a small one.
    asked = "import resource as r, subprocess as s, sys; s.run(sys.argv[1:], check=True, stdout=s.DEVNULL); "
    asked += "print(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", asked, KIRA, "export", str(target)]
    done = subprocess.run(command, env=environment(data), capture_output=True, text=True, check=True)
    return int(done.stdout)


def _regenerate(data: Path, address: str) -> None:
    """Ask for another answer to the only question, as the dashboard does."""
    again(data, address, str(rows(data, "SELECT id FROM messages WHERE role = 'assistant'")[0][0]))
