"""Copies of a database: consistent while it is written, whole or not there, and looked over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kira.adapters.database.backup import check, snapshot
from kira.adapters.database.schema import bring_up_to_date, steps


@pytest.fixture(params=["kira.sqlite", "a file? with #odd %20 name.sqlite"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made = tmp_path / str(request.param)
    bring_up_to_date(made)
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute("CREATE TABLE pairs (a INTEGER, b INTEGER, filler TEXT)")
        connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", ((n, n, "x" * 900) for n in range(20_000)))
    return made


def test_a_copy_of_a_database_in_use_is_of_one_moment(path: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:

        def change(done: int, total: int) -> None:
            told.append((done, total))
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE pairs SET a = a + 1 WHERE rowid % 97 = 0")
            writer.execute("INSERT INTO pairs VALUES (-1, -1, '')")
            writer.execute("UPDATE pairs SET b = a WHERE rowid % 97 = 0")
            writer.execute("COMMIT")

        snapshot(path, tmp_path / "copy.sqlite", change)
    assert len(told) > 3, "it goes in steps"
    assert [done for done, _ in told] == sorted(done for done, _ in told), "it never begins again"
    assert told[-1][0] == told[-1][1]
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
        assert copy.execute("SELECT COUNT(*), SUM(a <> b), MIN(a), SUM(a) FROM pairs").fetchone() == (
            20_000, 0, 0, sum(range(20_000)),
        )  # fmt: skip


def test_a_copy_is_one_file_for_its_owner_only(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies"
    target.mkdir()
    snapshot(path, target / "copy.sqlite")
    assert check(target / "copy.sqlite").damage is None
    assert [each.name for each in target.iterdir()] == ["copy.sqlite"]
    assert (target / "copy.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_copy_that_fails_leaves_nothing_and_harms_nothing(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy.sqlite"
    target.parent.mkdir()
    target.write_text("the last good one")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        snapshot(path, target, stop)
    assert target.read_text() == "the last good one"
    assert list(target.parent.iterdir()) == [target]


def test_a_copy_of_nothing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        snapshot(tmp_path / "missing.sqlite", tmp_path / "copy.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_check_counts_rows_and_names_the_step(path: Path) -> None:
    found = check(path)
    assert (found.damage, found.step) == (None, steps()[-1].number)
    assert found.counts["pairs"] == 20_000
    assert found.counts["messages"] == 0
    assert not any("fts" in table or table.startswith("sqlite") for table in found.counts)


@pytest.mark.parametrize("rubbish", [b"\x00", b"\xff"], ids=["zeros", "ones"])
def test_a_check_sees_damage_and_says_it_in_one_line(path: Path, tmp_path: Path, rubbish: bytes) -> None:
    snapshot(path, tmp_path / "copy.sqlite")
    content = bytearray((tmp_path / "copy.sqlite").read_bytes())
    content[-4096 * 40 : -4096 * 20] = rubbish * (4096 * 20)
    (tmp_path / "copy.sqlite").write_bytes(content)
    damage = check(tmp_path / "copy.sqlite").damage
    assert damage
    assert damage.splitlines() == [damage]


def test_a_check_sees_rows_that_refer_to_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO limits VALUES ('nobody', 'x', 1)")
    assert check(path).damage == "a row of limits refers to nothing"
