"""Schema steps: a snapshot first, whole or not at all, never by an older Kira, and a way back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kira.adapters.database.schema import STEPS, bring_up_to_date, go_back
from kira.domain.errors import KiraError, WrongSetting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Steps that a test may add to."""
    made = tmp_path / "steps"
    made.mkdir()
    (made / "0001_start.sql").write_text("CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL);")
    return made


def rows_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as file:
        return [row[0] for row in file.execute("SELECT id FROM notes ORDER BY id")]


def fill(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("INSERT INTO notes (id) VALUES ('a'), ('b')")


def snapshots(path: Path) -> list[Path]:
    return sorted((path.parent / "snapshots").glob("*.sqlite"))


def test_kiras_own_steps_make_a_new_file_without_a_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "kira.sqlite"
    assert len(bring_up_to_date(path)) == len(list(STEPS.glob("*.sql")))
    assert bring_up_to_date(path) == []
    assert snapshots(path) == []
    assert path.stat().st_mode & 0o077 == 0


def test_a_snapshot_is_taken_before_a_file_is_changed_and_leads_back(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "kira.sqlite"
    bring_up_to_date(path, folder)
    fill(path)
    (folder / "0002_drop.sql").write_text(
        "-- drops notes\nDROP TABLE notes;\nCREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL);"
    )
    assert [step.number for step in bring_up_to_date(path, folder)] == [2]
    assert rows_of(path) == []
    go_back(path, snapshots(path)[0])
    assert rows_of(path) == ["a", "b"]


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "kira.sqlite"
    bring_up_to_date(path, folder)
    fill(path)
    (folder / "0002_more.sql").write_text("CREATE TABLE more (id TEXT);\nINSERT INTO nowhere VALUES (1);")
    with pytest.raises(WrongSetting, match="as it was"):
        bring_up_to_date(path, folder)
    assert rows_of(path) == ["a", "b"]
    with closing(sqlite3.connect(path)) as file:
        assert not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'more'").fetchall()


def test_a_step_that_would_lose_rows_is_undone(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "kira.sqlite"
    bring_up_to_date(path, folder)
    fill(path)
    (folder / "0002_lose.sql").write_text("DELETE FROM notes WHERE id = 'a';")
    with pytest.raises(WrongSetting, match="lost"):
        bring_up_to_date(path, folder)
    assert rows_of(path) == ["a", "b"]


def test_a_file_of_a_newer_kira_is_refused(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "kira.sqlite"
    (folder / "0002_later.sql").write_text("CREATE TABLE later (id TEXT);")
    bring_up_to_date(path, folder)
    (folder / "0002_later.sql").unlink()
    with pytest.raises(WrongSetting, match="newer Kira"):
        bring_up_to_date(path, folder)


def test_a_step_that_was_changed_later_is_refused(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "kira.sqlite"
    bring_up_to_date(path, folder)
    (folder / "0001_start.sql").write_text("CREATE TABLE notes (id TEXT);")
    with pytest.raises(WrongSetting, match="was changed"):
        bring_up_to_date(path, folder)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one" * 20])
def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kira.sqlite"
    path.write_bytes(content)
    with pytest.raises(KiraError, match="kira restore"):
        bring_up_to_date(path)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kira.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE theirs (id TEXT)")
    with pytest.raises(WrongSetting, match="not Kira's"):
        bring_up_to_date(path)
