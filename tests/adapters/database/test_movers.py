"""Processes that help with a move: all see one moment, end with whoever began, and nobody depends on them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from tests.moving import database, moved, seed

from kira.adapters.database.moving import sqlite_reader
from kira.adapters.database.moving.move import begin, carry_out
from kira.adapters.database.moving.mover import answers
from kira.adapters.database.moving.movers import Movers
from kira.adapters.database.moving.postgres_target import PostgresTarget
from kira.adapters.database.moving.sides import Tell, divide
from kira.adapters.database.moving.work import Done, Task, What, Work
from kira.domain.errors import Invalid

BATCH = 5
ROWS = 800
_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'kira migrate'
"""


@pytest.fixture(autouse=True)
def _also_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kira.adapters.database.moving.movers.MOVERS_MAX", 2)


class Side:
    """A move that has begun, whose messages are to be copied here only when told so."""

    def __init__(self, file: Path, address: str, role: str = "postgres") -> None:
        self.address = address
        self.threads = threading.active_count()
        self.source = sqlite_reader.open_source(file)
        self.target = PostgresTarget(address.replace("user=postgres", f"user={role}"))
        self.target.make_ready()
        self.looked = begin(self.source, self.target, anew=False, batch=BATCH)
        self.work = Work(self.source, self.target, {each.table.name: each for each in self.looked.plans})
        left, _ = self.target.left(self.work.plans["messages"])
        self.tasks = [Task(What.COPY, "messages", part) for part in left]
        self.here = 0
        self.rows = 0

    def do(self, task: Task) -> Done:
        """Do it here, the first one when others have begun or gave up."""
        with psycopg.connect(self.address) as connection:
            while not self.here and threading.active_count() > self.threads:
                if connection.execute(
                    "SELECT 1 FROM kira.migration WHERE part LIKE 'rows m%' AND state <> ''"
                ).fetchone():
                    break
                connection.rollback()
                time.sleep(0.02)
        self.here += 1
        return self.work.do(task)

    def then(self, task: Task, done: Done) -> None:
        self.rows += done.rows

    def finish(self) -> None:
        carry_out(self.source, self.target, self.looked, _quiet, BATCH)

    def close(self) -> None:
        self.source.close()
        self.target.close()


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    with closing(Side(seed(tmp_path / "one.sqlite", ROWS // 2), database())) as made:
        yield made


def test_several_processes_store_each_part_once(side: Side, tmp_path: Path) -> None:
    with Movers(side.source, side.target) as movers:
        movers.share(side.tasks, side.do, side.then)
        assert 0 < side.here < len(side.tasks)
        assert side.rows == ROWS
        assert len(_children()) == 2
        for command in _children().values():
            assert command[1:] == ["-m", "kira.adapters.database.moving.mover"], "a password would be seen"
    assert _children() == {}
    side.finish()
    assert moved(tmp_path / "one.sqlite") == moved(side.target.address)


def test_a_process_that_is_killed_leaves_its_part_to_the_others(side: Side, tmp_path: Path) -> None:
    killed = 0

    def then(task: Task, done: Done) -> None:
        nonlocal killed
        side.then(task, done)
        for process in _children() if side.rows > side.here * BATCH else ():
            os.kill(process, signal.SIGKILL)
            killed += 1

    with Movers(side.source, side.target) as movers:
        movers.share(side.tasks, side.do, then)
    assert killed
    assert side.rows == ROWS
    side.finish()
    assert moved(tmp_path / "one.sqlite") == moved(side.target.address)


def test_whoever_sees_another_moment_of_the_file_does_not_help(side: Side, tmp_path: Path) -> None:
    before = moved(tmp_path / "one.sqlite")
    with closing(sqlite3.connect(tmp_path / "one.sqlite")) as file:
        file.execute("UPDATE messages SET model = 'another'")
        file.commit()
    with Movers(side.source, side.target) as movers:
        movers.share(side.tasks, side.do, side.then)
    assert side.here == len(side.tasks)
    side.finish()
    assert moved(side.target.address) == before != moved(tmp_path / "one.sqlite")


def test_where_no_process_can_sign_in_this_one_does_it_all(tmp_path: Path) -> None:
    address = database(schema=True)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS alone")
        connection.execute("CREATE ROLE alone LOGIN IN ROLE kira_owner CONNECTION LIMIT 1")
    with closing(Side(seed(tmp_path / "one.sqlite", ROWS // 2), address, "alone")) as side:
        with Movers(side.source, side.target) as movers:
            movers.share(side.tasks, side.do, side.then)
        assert (side.here, side.rows) == (len(side.tasks), ROWS)


def test_what_another_refuses_ends_the_move(tmp_path: Path) -> None:
    with closing(Side(_with_bad_text(tmp_path / "one.sqlite"), database())) as side:

        def wait(task: Task) -> Done:
            while threading.active_count() > side.threads:
                time.sleep(0.01)
            return Done(0)

        with Movers(side.source, side.target) as movers, pytest.raises(Invalid, match="UTF-8"):
            movers.share(side.tasks, wait, side.then)
    assert _children() == {}


def test_what_is_told_is_answered_until_nobody_tells_more(tmp_path: Path) -> None:
    path = _with_bad_text(tmp_path / "one.sqlite")
    with closing(Side(path, database())) as side:
        part = side.tasks[0].part

        def told() -> Iterator[str]:
            yield json.dumps([str(path), side.target.address])
            yield json.dumps(["copy", "messages", part.first, part.last])
            yield json.dumps(["copy", "users", 1, 2])
            yield json.dumps(["read source", "users", 1, 2])
            yield json.dumps(["read target", "users", 0, 9])
            with psycopg.connect(side.target.address) as connection:
                connection.execute(_END_OTHERS)
            yield json.dumps(["read target", "users", 0, 9])

        ready, refused, copied, one, two, stopped = answers(told())
    assert ready == {}
    assert refused == {"refused": "A text in FROM is not UTF-8, so it cannot be moved."}
    assert copied == {"rows": 2, "digest": 0}
    assert one == two
    assert (one["rows"], one["digest"] > 0) == (2, True)
    assert stopped == {"stopped": "the PostgreSQL server was stopped"}
    assert list(answers([])) == []


def test_it_ends_in_silence_with_whoever_started_it(side: Side) -> None:
    command = [sys.executable, "-m", "kira.adapters.database.moving.mover"]
    for told in ("", '["/nowhere", "host=nowhere"]\n'):
        done = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1 if told else 0, "", "")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(json.dumps([str(side.source.path), side.target.address]) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "{}\n"
        process.stdout.close()
        process.stdin.write(json.dumps(["read source", "users", 1, 2]) + "\n")
        process.stdin.flush()
        assert (process.wait(60), process.stderr.read()) == (1, "")


def test_parts_are_all_places_once() -> None:
    for first, last, parts in ((0, 0, 1), (1, 10, 3), (-5, 2**63 - 1, 7), (4, 6, 50), (0, 99_999, 5)):
        found = divide(first, last, parts)
        assert (found[0].first, found[-1].last) == (first, last)
        assert all(one.last + 1 == two.first for one, two in pairwise(found))
        assert all(each.first <= each.last for each in found)
        assert len(found) <= parts


def _with_bad_text(path: Path) -> Path:
    seed(path, ROWS // 2)
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE messages SET model = CAST(x'E4' AS TEXT)")
        file.commit()
    return path


@contextmanager
def _quiet(label: str, *, unit: str | None = None) -> Iterator[Tell]:
    yield lambda done, total: None


def _children() -> dict[int, list[str]]:
    """Return the processes that help this one, with their command lines."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = stat.with_name("cmdline").read_text().split("\0")[:-1]
            if parent == os.getpid() and any("moving.mover" in word for word in command):
                found[int(stat.parent.name)] = command
    return found
