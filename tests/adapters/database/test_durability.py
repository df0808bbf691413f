"""What was acknowledged is there: after a kill, after a full disk, in a copy taken meanwhile."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kira.adapters.database.backup import check, snapshot
from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.domain.errors import DiskFull
from kira.ports.database import Call

USER = "01a00000-0000-7000-8000-00000000000a"

WRITER = f"""
import asyncio, sys
from pathlib import Path
from kira.adapters.database.sqlite import SqliteConfig, create_database

async def write() -> None:
    database = create_database(SqliteConfig(Path(sys.argv[1])))
    await database.system.execute("accounts.add_local", {{"id": "{USER}", "name": "You", "now": 1}})
    number = 0
    while True:
        number += 1
        params = {{"conversation_id": f"c{{number:06d}}", "title": "t", "titled_by": "user", "now": number}}
        await database.of("{USER}").execute("conversations.add", params)
        print(number, flush=True)

asyncio.run(write())
"""


def test_a_kill_loses_no_acknowledged_row(tmp_path: Path) -> None:
    path = tmp_path / "kira.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        for line in writer.stdout:
            acknowledged = int(line)
            if acknowledged == 300:
                writer.send_signal(signal.SIGKILL)
                break
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    with closing(sqlite3.connect(path)) as file:
        kept = {row[0] for row in file.execute("SELECT id FROM conversations")}
    assert {f"c{number:06d}" for number in range(1, acknowledged + 1)} <= kept


async def test_a_full_disk_refuses_whole_batches_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kira.sqlite"
    database = create_database(SqliteConfig(path, max_pages=110))
    await database.system.execute("accounts.add_local", {"id": USER, "name": "You", "now": 1})
    rows = database.of(USER)
    acknowledged = 0
    with pytest.raises(DiskFull):
        while True:
            calls = [_add(f"{acknowledged}-{part}", "x" * 200) for part in range(10)]
            await rows.run(calls)
            acknowledged += 1
    found = await rows.query("conversations.page", {"items": 100_000})
    assert len(found) == acknowledged * 10
    await rows.execute("conversations.remove", {"conversation_id": "0-0"})
    await database.close()
    roomy = create_database(SqliteConfig(path))
    await roomy.of(USER).run([_add("later", "x")])
    assert len(await roomy.of(USER).query("conversations.page", {"items": 100_000})) == acknowledged * 10
    await roomy.close()


async def test_a_copy_taken_while_others_write_is_whole(tmp_path: Path) -> None:
    path, copy = tmp_path / "kira.sqlite", tmp_path / "copy.sqlite"
    database = create_database(SqliteConfig(path))
    await database.system.execute("accounts.add_local", {"id": USER, "name": "You", "now": 1})
    for number in range(50):
        await database.of(USER).run([_add(f"before-{number}", "x" * 2000)])

    async def write() -> None:
        for number in range(200):
            # Always two at once: a copy that is not of one moment would hold one of them alone.
            await database.of(USER).run([_add(f"one-{number}", "x"), _add(f"two-{number}", "x")])

    writing = asyncio.create_task(write())
    told: list[tuple[int, int]] = []
    await asyncio.to_thread(snapshot, path, copy, lambda done, total: told.append((done, total)))
    await writing
    await database.close()
    found = check(copy)
    assert found.damage is None
    assert found.counts["conversations"] >= 50
    assert found.counts["conversations"] % 2 == 0
    assert told[-1][0] == told[-1][1]


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "kira.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE schema_steps (number INTEGER)")
        file.execute("CREATE TABLE filled (id INTEGER PRIMARY KEY, text TEXT)")
        file.executemany("INSERT INTO filled (text) VALUES (?)", [("x" * 500,) for _ in range(200)])
        file.execute("CREATE INDEX filled_by_text ON filled (text)")
        file.commit()
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 3 + 2000] = b"\xff" * 2000
    path.write_bytes(bytes(content))
    try:
        damage = check(path).damage
    except sqlite3.DatabaseError:
        damage = "unreadable"
    assert damage is not None


def _add(conversation_id: str, title: str) -> Call:
    return Call(
        "conversations.add", {"conversation_id": conversation_id, "title": title, "titled_by": "user", "now": 1}
    )
