"""With Litestream, Kira leaves the journal alone: another program copies it and writes it into the file."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from tests.adapters.database.replica import Replica

from kira.adapters.database.backup import check, snapshot
from kira.adapters.database.keeper import Keeper
from kira.adapters.database.schema import bring_up_to_date
from kira.adapters.database.sqlite import SqliteConfig, SqliteDatabase, create_database
from kira.domain.ids import new_id
from kira.local.settings import read
from kira.ports.database import Call

ROOT = Path(__file__).resolve().parents[3]
AUTOMATIC_PAGES = 1_000  # after as many SQLite writes the journal into the file, unless it is told not to
COUNT = "SELECT COUNT(*) FROM users"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of Kira's whose journal is empty."""
    made = tmp_path / "kira.sqlite"
    bring_up_to_date(made)
    return made


def _open(path: Path) -> SqliteDatabase:
    return create_database(SqliteConfig(path, folds=False))


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _user(name: str) -> dict[str, str | int | None]:
    made = new_id()
    return {"id": made, "email": f"{made}@example.org", "name": name, "password_hash": "-", "role": "user", "now": 1}


async def _write(database: SqliteDatabase, times: int) -> None:
    for _ in range(times):
        await database.system.run([Call("accounts.add", _user("n" * 20_000))])


def _users(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(COUNT).fetchone()[0])


async def test_kira_never_folds_the_journal(path: Path) -> None:
    before = path.read_bytes()
    database = _open(path)
    await _write(database, 400)
    grown = _journal(path).stat().st_size
    assert grown > AUTOMATIC_PAGES * 4_096
    assert path.read_bytes() == before
    await database.close()
    assert path.read_bytes() == before
    assert _journal(path).stat().st_size == grown
    again = _open(path)
    await _write(again, 1)
    await again.close()
    assert path.read_bytes() == before
    assert _users(path) == 401


async def test_without_litestream_the_journal_ends_with_kira(path: Path) -> None:
    database = create_database(SqliteConfig(path))
    await _write(database, 400)
    assert _journal(path).stat().st_size < 2 * AUTOMATIC_PAGES * 4_096
    await database.close()
    assert not _journal(path).exists()


async def test_a_new_file_and_a_restored_one_keep_their_journal_too(tmp_path: Path) -> None:
    new = tmp_path / "new.sqlite"
    database = _open(new)
    await _write(database, 3)
    await database.close()
    assert _journal(new).stat().st_size > 0
    restored = tmp_path / "restored.sqlite"
    snapshot(new, restored, folds=False)
    assert _journal(new).stat().st_size > 0
    database = _open(restored)
    await _write(database, 2)
    await database.close()
    assert _journal(restored).stat().st_size > 0
    assert (_users(new), _users(restored)) == (3, 5)


def test_an_upgrade_leaves_the_journal_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "steps"
    folder.mkdir()
    (folder / "0001_first.sql").write_text("CREATE TABLE texts (content TEXT NOT NULL);")
    path = tmp_path / "kira.sqlite"
    bring_up_to_date(path, folder)
    before = path.read_bytes()
    (folder / "0002_second.sql").write_text(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
        "INSERT INTO texts SELECT hex(randomblob(5000)) FROM n;"
    )
    with closing(Keeper(path)):
        assert len(bring_up_to_date(path, folder, folds=False)) == 1
    assert path.read_bytes() == before
    assert _journal(path).stat().st_size > AUTOMATIC_PAGES * 4_096


async def test_a_program_that_copies_and_checkpoints_loses_nothing(path: Path, tmp_path: Path) -> None:
    with Replica(path, tmp_path / "replica") as replica:
        for _ in range(3):
            database = _open(path)
            for _ in range(10):
                await _write(database, 30)
                replica.copy()
                replica.fold()
            await database.close()
            replica.copy()
        assert replica.folded > 0
        restored = replica.restore(tmp_path / "restored.sqlite")
    assert check(restored).damage is None
    assert _users(restored) == _users(path) == 900


async def test_what_was_written_after_the_last_copy_waits_in_the_journal(path: Path, tmp_path: Path) -> None:
    with Replica(path, tmp_path / "replica") as replica:
        database = _open(path)
        await _write(database, 10)
        replica.copy()
    await _write(database, 10)
    await database.close()
    with Replica(path, tmp_path / "replica", begun=True) as replica:
        replica.copy()
        assert _users(replica.restore(tmp_path / "restored.sqlite")) == 20


KILLED = """
import asyncio, os, sys
from pathlib import Path
from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.ports.database import Call
from kira.domain.ids import new_id

async def main():
    database = create_database(SqliteConfig(Path(sys.argv[1]), folds=False))
    for _ in range(20):
        made = new_id()
        user = {"id": made, "email": made, "name": "n", "password_hash": "-", "role": "user", "now": 1}
        await database.system.run([Call("accounts.add", user)])
    os._exit(9)

asyncio.run(main())
"""


async def test_a_killed_kira_leaves_its_journal_to_the_next(path: Path, tmp_path: Path) -> None:
    with Replica(path, tmp_path / "replica") as replica:
        assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == 9
        database = _open(path)
        await _write(database, 1)
        await database.close()
        replica.copy()
        assert _users(replica.restore(tmp_path / "restored.sqlite")) == 21


def test_the_configuration_names_kiras_own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "litestream.yml").read_text()
    monkeypatch.setenv("KIRA_DATA", str(tmp_path))
    monkeypatch.setenv("LITESTREAM_REPLICA", "s3://bucket/kira")
    # As Litestream does: a variable that is not set becomes nothing.
    told = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), text)
    found = yaml.safe_load(told)
    (database,) = found["dbs"]
    assert Path(database["path"]) == read().database_file
    assert database["replica"]["url"] == "s3://bucket/kira"
    assert set(re.findall(r"KIRA_[A-Z0-9_]+", text)) == {"KIRA_DATA", "KIRA_S3_ENDPOINT", "KIRA_CHECKPOINTS"}
