"""The schema's steps: what is refused, what is kept, and how to go back."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kira.adapters.database.backup import check
from kira.adapters.database.schema import STEPS, bring_up_to_date, go_back, steps
from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.domain.errors import KiraError, WrongSetting
from kira.domain.limits import SNAPSHOTS_KEPT_MAX

FIRST = "CREATE TABLE parents (id INTEGER PRIMARY KEY NOT NULL, name TEXT);\n"
SECOND = (
    "-- A child; a trigger has semicolons of its own.\n"
    "CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parents (id));\n"
    "CREATE TRIGGER named AFTER INSERT ON children BEGIN\n  UPDATE parents SET name = 'x'; SELECT 1;\nEND;\n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kira.sqlite"


def folder_of(tmp_path: Path, *texts: str) -> Path:
    folder = tmp_path / "steps"
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(texts, 1):
        (folder / f"{number:04d}_step.sql").write_text(text)
    return folder


def run(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql).fetchall()


def snapshots(path: Path) -> list[Path]:
    return sorted(path.parent.glob("snapshots/*"))


@pytest.fixture
def old(tmp_path: Path, path: Path) -> Path:
    """A file of step 1 with two parents."""
    bring_up_to_date(path, folder_of(tmp_path, FIRST))
    run(path, "INSERT INTO parents VALUES (1, 'a'), (2, 'b')")
    return path


def test_a_new_file_gets_every_step_and_no_snapshot(tmp_path: Path, path: Path) -> None:
    applied = bring_up_to_date(path, folder_of(tmp_path, FIRST, SECOND))
    assert [(step.number, step.name) for step in applied] == [(1, "step"), (2, "step")]
    assert run(path, "SELECT number FROM schema_steps ORDER BY number") == [(1,), (2,)]
    assert run(path, "PRAGMA journal_mode") == [("wal",)]
    assert snapshots(path) == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_up_to_date_is_only_asked_once(old: Path, tmp_path: Path) -> None:
    before = old.read_bytes()
    assert bring_up_to_date(old, folder_of(tmp_path, FIRST)) == []
    assert old.read_bytes() == before
    assert snapshots(old) == []


def test_a_snapshot_is_taken_before_a_file_is_changed(old: Path, tmp_path: Path) -> None:
    bring_up_to_date(old, folder_of(tmp_path, FIRST, SECOND))
    (kept,) = snapshots(old)
    assert kept.name.startswith("before-0002-")
    assert kept.stat().st_mode & 0o777 == 0o600
    found = check(kept)
    assert (found.damage, found.step, found.counts) == (None, 1, {"parents": 2, "schema_steps": 1})
    assert run(old, "SELECT * FROM parents") == [(1, "a"), (2, "b")]
    assert check(old).step == 2


def test_the_newest_snapshots_are_kept(old: Path, tmp_path: Path) -> None:
    texts = [FIRST, *(f"CREATE TABLE t{number} (a);" for number in range(2, 8))]
    for count in range(2, 8):
        bring_up_to_date(old, folder_of(tmp_path, *texts[:count]))
    assert [kept.name[:11] for kept in snapshots(old)] == ["before-0005", "before-0006", "before-0007"]
    assert len(snapshots(old)) == SNAPSHOTS_KEPT_MAX


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("INSERT INTO parents VALUES (3, 'c'); CREATE TABLE parents (a);", "already exists"),
        ("INSERT INTO parents VALUES (3, 'c'); THIS IS NOT SQL;", "syntax"),
        ("DELETE FROM parents WHERE id = 1;", "rows of parents would be lost"),
        ("DROP TABLE parents;", "rows of parents would be lost"),
        (SECOND + "INSERT INTO children VALUES (1, 99);", "refers to nothing"),
    ],
)
def test_a_step_that_fails_leaves_the_file_as_it_was(old: Path, tmp_path: Path, step: str, why: str) -> None:
    good = "CREATE TABLE added (a);"
    before = run(old, "SELECT * FROM sqlite_master"), run(old, "SELECT * FROM parents")
    with pytest.raises(WrongSetting, match=why) as refused:
        bring_up_to_date(old, folder_of(tmp_path, FIRST, good, step))
    assert "as it was" in refused.value.message
    assert (run(old, "SELECT * FROM sqlite_master"), run(old, "SELECT * FROM parents")) == before
    assert check(old).step == 1
    assert bring_up_to_date(old, folder_of(tmp_path, FIRST, good, SECOND))[-1].number == 3


def test_a_step_may_rebuild_a_table_that_others_refer_to(old: Path, tmp_path: Path) -> None:
    bring_up_to_date(old, folder_of(tmp_path, FIRST, SECOND))
    run(old, "INSERT INTO children VALUES (1, 2)")
    rebuild = (
        "DROP TRIGGER named; -- it names the table; so it comes back later\n"
        "CREATE TABLE parents_new (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL);\n"
        "INSERT INTO parents_new SELECT id, name FROM parents;\n"
        "DROP TABLE parents;\nALTER TABLE parents_new RENAME TO parents;\n"
    )
    bring_up_to_date(old, folder_of(tmp_path, FIRST, SECOND, rebuild))
    assert run(old, "SELECT COUNT(*) FROM parents") == [(2,)]
    assert check(old).damage is None


def test_a_table_goes_only_when_its_step_says_so(old: Path, tmp_path: Path) -> None:
    bring_up_to_date(old, folder_of(tmp_path, FIRST, "-- drops parents\nDROP TABLE parents;"))
    assert check(old).counts == {"schema_steps": 2}


def test_one_can_go_back_to_a_snapshot_while_others_have_the_file_open(old: Path, tmp_path: Path) -> None:
    bring_up_to_date(old, folder_of(tmp_path, FIRST, SECOND))
    with closing(sqlite3.connect(old)) as other:
        assert other.execute("SELECT COUNT(*) FROM children").fetchone() == (0,)
        run(old, "INSERT INTO parents VALUES (3, 'later')")
        go_back(old, snapshots(old)[0])
        assert other.execute("SELECT id FROM parents").fetchall() == [(1,), (2,)]
        with pytest.raises(sqlite3.OperationalError, match="children"):
            other.execute("SELECT 1 FROM children")
    assert check(old).step == 1
    assert check(old).damage is None
    assert [step.number for step in bring_up_to_date(old, folder_of(tmp_path, FIRST, SECOND))] == [2]


def test_a_damaged_snapshot_is_not_gone_back_to(old: Path, tmp_path: Path) -> None:
    (tmp_path / "no.sqlite").write_bytes(b"this is no database, only some bytes" * 200)
    run(tmp_path / "other.sqlite", "CREATE TABLE a (b)")
    before = old.read_bytes()
    for name in ("no.sqlite", "other.sqlite", "missing.sqlite"):
        with pytest.raises(WrongSetting, match="snapshot"):
            go_back(old, tmp_path / name)
    assert old.read_bytes() == before
    assert not (tmp_path / "missing.sqlite").exists()


def test_a_file_of_a_newer_kira_is_refused(old: Path, tmp_path: Path) -> None:
    run(old, "INSERT INTO schema_steps VALUES (2, 'later', 'x', 1)")
    with pytest.raises(WrongSetting, match=r"newer Kira \(step 2; this one knows 1\)"):
        bring_up_to_date(old, folder_of(tmp_path, FIRST))
    assert snapshots(old) == []


def test_a_step_that_was_changed_since_is_refused(old: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="Step 1 of the schema was changed"):
        bring_up_to_date(old, folder_of(tmp_path, FIRST + "-- more\n", SECOND))
    assert snapshots(old) == []


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    run(path, "CREATE TABLE bookmarks (a)")
    before = path.read_bytes()
    with pytest.raises(WrongSetting, match="not Kira's"):
        bring_up_to_date(path, folder_of(tmp_path, FIRST))
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    content = b"a letter to a friend\n" * 500
    path.write_bytes(content)
    with pytest.raises(KiraError, match=r"damaged|cannot be used"):
        create_database(SqliteConfig(path))
    assert path.read_bytes() == content


START = """
import sys
from pathlib import Path
from kira.adapters.database.schema import bring_up_to_date
sys.stdin.readline()
print(len(bring_up_to_date(Path(sys.argv[1]))))
"""


def test_processes_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / str(attempt) / "kira.sqlite"
        path.parent.mkdir()
        command = [sys.executable, "-c", START, str(path)]
        pipe = subprocess.PIPE
        started = [subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(4)]
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        told = [process.communicate() for process in started]
        assert [error for _, error in told if error] == []
        assert sorted(int(answer) for answer, _ in told) == [0, 0, 0, len(steps())]
        assert check(path).damage is None


def test_the_steps_of_the_package_are_numbered_without_a_gap() -> None:
    assert [step.number for step in steps()] == list(range(1, len(steps()) + 1))
    assert all(path.name[4] == "_" for path in STEPS.glob("*.sql"))


async def test_a_second_process_may_open_the_same_file(path: Path) -> None:
    first, second = create_database(SqliteConfig(path)), create_database(SqliteConfig(path))
    given = {"email": None, "name": "N", "role": "user", "now": 1, "password_hash": None}
    await asyncio.gather(
        *(
            database.system.execute("accounts.add", {**given, "id": f"{number}", "email": f"{number}@example.org"})
            for number, database in enumerate([first, second] * 25)
        )
    )
    for database in (first, second):
        (row,) = await database.system.query("accounts.exist")
        assert row["found"] == 1
        await database.close()
    assert check(path).counts["users"] == 50
