"""The list of what runs on one home only names what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import homes
from tests.homes import AWS_FILES, AWS_FOLDERS, HOMES, NOT_ON_A_SERVER, NOT_ON_AWS, ONLY_HERE, SERVER_FOLDERS

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("node", "folders", "reason"),
    [(node, SERVER_FOLDERS, reason) for node, reason in NOT_ON_A_SERVER.items()]
    + [(node, AWS_FOLDERS, reason) for node, reason in NOT_ON_AWS.items()],
)
def test_what_is_left_out_on_a_home_is_there_and_has_a_reason(node: str, folders: tuple[str, ...], reason: str) -> None:
    path, _, name = node.partition("::")
    assert path.partition("/")[0] in folders
    text = (TESTS / path).read_text()
    assert not name or f"def {name.partition('[')[0]}(" in text
    assert reason


def test_every_folder_of_homes_is_there() -> None:
    assert all((TESTS / folder).is_dir() for folder in (*SERVER_FOLDERS, *AWS_FOLDERS))
    assert all((TESTS / place).exists() for place in ONLY_HERE)


def test_every_test_is_part_of_some_run(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {f"{path.relative_to(TESTS).as_posix()}::test_x" for path in TESTS.rglob("test_*.py")}
    assert len(nodes) > 100
    assert nodes == {node for home in HOMES for node in _belonging(home, sorted(nodes), monkeypatch)}


def test_every_file_of_a_home_is_there_and_of_no_folder_of_that_home() -> None:
    assert all((TESTS / file).is_file() and file.partition("/")[0] not in AWS_FOLDERS for file in AWS_FILES)


def test_what_belongs_to_a_home_is_what_the_lists_say(monkeypatch: pytest.MonkeyPatch) -> None:
    left_out, file = min(NOT_ON_AWS), AWS_FILES[0]
    others = ("services/test_runs.py::test_x", "contracts/test_queue.py::test_x")
    alone = ("rehearsal/test_host.py::test_x", "hosts/test_deaths.py::test_x")
    chosen = {home: _belonging(home, [left_out, f"{file}::test_x", *others, *alone], monkeypatch) for home in HOMES}
    assert chosen == {
        "sqlite": [left_out, f"{file}::test_x", *others],
        "postgres": [left_out, *others, alone[1]],
        "aws": [f"{file}::test_x", alone[0]],
    }


def _belonging(home: str, nodes: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(homes, "_chosen", home)
    monkeypatch.setattr(homes, "_is_named", True)
    return [node for node in nodes if homes.belongs(node)]
