"""What a move is made of: lines that are the same from both engines, plans, words and the way of an owner."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.engines import folder_of_server, fresh, server
from tests.moving import ADA, BORA, HARD, database, moved, seed, shape

from kira.adapters.database.moving import lines, postgres_reader, sqlite_reader
from kira.adapters.database.moving.failures import why
from kira.adapters.database.moving.move import begin, carry_out
from kira.adapters.database.moving.postgres_target import PostgresTarget
from kira.adapters.database.moving.sides import Tell
from kira.adapters.database.moving.sqlite_target import SqliteTarget
from kira.adapters.database.moving.tables import NOT_MOVED, SEARCHED, Table, plan
from kira.adapters.database.postgres import PostgresConfig
from kira.adapters.database.postgres import create_database as create_postgres
from kira.adapters.database.postgres.embedded import Embedded
from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.domain.errors import Conflict, Invalid, KiraError, WrongSetting
from kira.domain.search import parse
from kira.ports.database import Database


@contextmanager
def quiet(label: str, *, unit: str | None = None) -> Iterator[Tell]:
    yield lambda done, total: None


def move(source: Path | str, target: Path | str, batch: int = 50) -> None:
    reader = sqlite_reader.open_source(source) if isinstance(source, Path) else postgres_reader.open_source(source)
    into = SqliteTarget(target) if isinstance(target, Path) else PostgresTarget(target)
    with closing(reader), closing(into):
        into.make_ready()
        carry_out(reader, into, begin(reader, into, anew=False, batch=batch), quiet, batch)


async def hits(opened: Database, user: str, text: str) -> list[str]:
    query = parse(text)
    assert query is not None
    params = {"match": opened.match(query, user), "items": 500}
    found = await opened.of(user).query("search.messages", params)
    await opened.close()
    return sorted(str(row["id"]) for row in found)


def application(address: str) -> str:
    return address.replace("user=postgres", "user=kira_app")


@pytest.mark.parametrize(("batch", "kind"), [(1, "postgres"), (7, "postgres16"), (10_000, "postgres")])
async def test_everything_comes_over_and_back_the_same(tmp_path: Path, batch: int, kind: str) -> None:
    one = seed(tmp_path / "one.sqlite", 40)
    before = one.read_bytes()
    over, two = database(kind=kind), tmp_path / "two.sqlite"
    move(one, over, batch)
    move(over, two, batch)
    assert moved(one) == moved(over) == moved(two)
    assert {name for name, (rows, _) in moved(two).items() if not rows} == {"marks", "run_events", "seats", "workers"}
    assert one.read_bytes() == before
    assert shape(over) == shape(fresh(kind)[0])
    for text in ("copperbeech", "quoted again", "slash", "ümläut", '"a word"', "controls -word"):
        expected = await hits(create_database(SqliteConfig(one)), BORA, text)
        assert expected
        assert await hits(create_postgres(PostgresConfig(application(over))), BORA, text) == expected
        assert await hits(create_database(SqliteConfig(two)), BORA, text) == expected


async def test_the_same_engine_on_both_sides_also_to_a_newer_one(tmp_path: Path) -> None:
    one, over, again = seed(tmp_path / "one.sqlite"), database(kind="postgres16"), database()
    move(one, tmp_path / "two.sqlite")
    move(tmp_path / "two.sqlite", over)
    move(over, again)
    assert moved(one) == moved(tmp_path / "two.sqlite") == moved(again)
    assert len(await hits(create_postgres(PostgresConfig(application(again))), ADA, "copperbeech")) == 12


def test_a_file_whose_making_was_killed_before_it_had_a_schema_is_filled(tmp_path: Path) -> None:
    one, begun = seed(tmp_path / "one.sqlite"), tmp_path / "begun.sqlite"
    with closing(sqlite3.connect(begun)) as file:
        file.execute("PRAGMA journal_mode = WAL")
    assert begun.stat().st_size
    move(one, begun)
    assert moved(one) == moved(begun)


def test_words_that_were_being_made_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kira.adapters.database.moving.words.PAGES_A_BATCH", 1)
    one, over = seed(tmp_path / "one.sqlite", 300), database()

    @contextmanager
    def breaking(label: str, *, unit: str | None = None) -> Iterator[Tell]:
        told: list[int] = []

        def tell(done: int, total: int) -> None:
            told.append(done)
            if "words" in label and len(told) == 4:
                raise InterruptedError

        yield tell

    for _ in range(2):
        with closing(sqlite_reader.open_source(one)) as reader, closing(PostgresTarget(over)) as target:
            target.make_ready()
            with pytest.raises(InterruptedError):
                carry_out(reader, target, begin(reader, target, anew=False, batch=20), breaking)
    with psycopg.connect(over) as connection:
        assert connection.execute("SELECT COUNT(*) FROM kira.messages").fetchone() != (0,)
    move(one, over)
    assert moved(one) == moved(over)


def test_an_owner_who_is_no_superuser_moves_both_ways(tmp_path: Path) -> None:
    one, over = seed(tmp_path / "one.sqlite"), database(schema=True)
    with psycopg.connect(over, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS mover")
        connection.execute("CREATE ROLE mover LOGIN NOSUPERUSER NOBYPASSRLS IN ROLE kira_owner")
    owner = over.replace("user=postgres", "user=mover")
    move(one, owner)
    assert moved(one) == moved(over)
    before = shape(over)
    move(owner, tmp_path / "two.sqlite")
    assert moved(one) == moved(tmp_path / "two.sqlite")
    assert shape(over) == before == shape(fresh("postgres")[0])
    with psycopg.connect(over) as writer, pytest.raises(Conflict, match="in use"):
        writer.execute("SELECT 1 FROM kira.users")
        postgres_reader.open_source(owner)


def test_the_role_of_the_application_is_refused_with_the_reason() -> None:
    _, application = fresh("postgres")
    for opened in (postgres_reader.open_source, PostgresTarget):
        with pytest.raises(WrongSetting, match="only one user's rows"):
            opened(application)


def test_an_unfinished_target_is_refused_by_kira(tmp_path: Path) -> None:
    one, over, two = seed(tmp_path / "one.sqlite"), database(), tmp_path / "two.sqlite"
    for target in (PostgresTarget(over), SqliteTarget(two)):
        with closing(sqlite_reader.open_source(one)) as reader, closing(target):
            target.make_ready()
            begin(reader, target, anew=False)
    with pytest.raises(WrongSetting, match="did not finish"):
        create_postgres(PostgresConfig(application(over)))
    with pytest.raises(WrongSetting, match="did not finish"):
        create_database(SqliteConfig(two))
    with pytest.raises(Conflict, match="itself"):
        sqlite_reader.open_source(two)
    with pytest.raises(Conflict, match="itself"):
        postgres_reader.open_source(over)
    move(one, over)
    assert moved(one) == moved(over)


@pytest.mark.parametrize(("at", "rows"), [("Copying messages", 50), ("Making the words of messages", 0)])
def test_a_server_that_crashes_in_the_middle_loses_no_row(tmp_path: Path, at: str, rows: int) -> None:
    one, folder = seed(tmp_path / "one.sqlite"), folder_of_server() / "pg"
    running = Embedded(folder)
    over = running.address()

    @contextmanager
    def crashing(label: str, *, unit: str | None = None) -> Iterator[Tell]:
        def tell(done: int, total: int) -> None:
            if label == at and done >= rows:
                with psycopg.connect(over, autocommit=True) as other:
                    other.execute("CHECKPOINT")
                running.stop(signal.SIGQUIT)
                raise psycopg.OperationalError

        yield tell

    with closing(sqlite_reader.open_source(one)) as reader, closing(PostgresTarget(over)) as target:
        target.make_ready()
        with pytest.raises(psycopg.OperationalError):
            carry_out(reader, target, begin(reader, target, anew=False, batch=50), crashing)
    running = Embedded(folder)
    try:
        move(one, over)
        assert moved(one) == moved(over)
    finally:
        running.stop()


def test_what_changed_meanwhile_is_found(tmp_path: Path) -> None:
    one, over = seed(tmp_path / "one.sqlite"), database()
    with closing(sqlite_reader.open_source(one)) as reader, closing(PostgresTarget(over)) as target:
        target.make_ready()
        looked = begin(reader, target, anew=False, batch=5)
        for each in looked.plans[:3]:
            for part in target.left(each)[0][:1]:
                target.write(each, part, reader.blocks(each.table, each.columns, part))
    with closing(sqlite3.connect(one)) as file:
        file.execute("UPDATE conversations SET title = 'another'")
        file.commit()
    with pytest.raises(KiraError, match="conversations differs"):
        move(one, over)
    with closing(sqlite3.connect(one)) as file:
        file.execute("UPDATE conversations SET updated_at = 7")
        file.commit()
    with pytest.raises(Conflict, match="--anew"):
        move(one, over)
    with closing(sqlite_reader.open_source(one)) as reader, closing(PostgresTarget(over)) as target:
        carry_out(reader, target, begin(reader, target, anew=True), quiet)
    assert moved(one) == moved(over)
    assert shape(over) == shape(fresh("postgres")[0])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_text_that_cannot_be_moved_is_refused(tmp_path: Path, kind: str) -> None:
    for number, bad in enumerate((b"nul\x00here", b"latin \xff one", b"\xfd", b"\xe4")):
        one = seed(tmp_path / f"{number}.sqlite", 4)
        with closing(sqlite3.connect(one)) as file:
            file.execute("UPDATE conversations SET title = CAST(? AS TEXT) WHERE user_id = ?", (bad, BORA))
            file.commit()
        with pytest.raises(Invalid, match="NUL" if number == 0 else "UTF-8"):
            move(one, tmp_path / f"{number}-two.sqlite" if kind == "sqlite" else database())


def test_lines_are_those_of_postgresql() -> None:
    with psycopg.connect(server("postgres").address(), client_encoding="UTF8") as connection:
        for text in (*HARD, None):
            with connection.cursor().copy("COPY (SELECT %s::text, 1) TO STDOUT", (text,)) as copy:
                line = b"".join(bytes(part) for part in copy)
            assert lines.block([(lines.NULL if text is None else text.encode(), b"1")]) == line
            assert lines.fields(line[:-1]) == [text, "1"]


def test_a_digest_knows_every_row_and_no_order() -> None:
    one = b"a\t1\nb\t2\nb\t2\n"
    assert lines.digest(one) == lines.digest(b"b\t2\na\t1\nb\t2\n") != lines.digest(b"a\t1\nb\t2\n")
    assert lines.digest(b"a\t1\n") + lines.digest(b"b\t2\nb\t2\n") == lines.digest(one)


def test_sides_that_differ_are_refused() -> None:
    one = {"users": Table("users", {"id": "text"})}
    with pytest.raises(Conflict, match="different tables"):
        plan(one, {}, same_kind=True)
    with pytest.raises(KiraError, match="does not know"):
        plan(*[{"users": Table("users", {"id": "json"})}] * 2, same_kind=True)


def test_the_tables_of_today_are_known(tmp_path: Path) -> None:
    with closing(sqlite_reader.open_source(seed(tmp_path / "one.sqlite", 1))) as lite:
        with closing(postgres_reader.open_source(fresh("postgres")[0])) as pg:
            plans = plan(lite.tables(), pg.tables(), same_kind=False)
        searched = {name for name, table in lite.tables().items() if "search_text" in table.columns}
    assert searched == SEARCHED.keys()
    assert {each.table.name for each in plans}.isdisjoint(NOT_MOVED)


def test_reasons_are_words() -> None:
    assert why(psycopg.errors.DiskFull()) == "the disk of the PostgreSQL server is full"
    assert why(psycopg.OperationalError("host 10.0.0.1")) == "the connection to PostgreSQL broke"
    assert why(OSError(28, "No space left on device")) == "No space left on device"


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    one, two = seed(tmp_path / "one.sqlite"), tmp_path / "two.sqlite"
    with closing(sqlite_reader.open_source(one)) as reader, closing(SqliteTarget(two)) as target:
        target.make_ready()
        looked = begin(reader, target, anew=False, batch=20)
        pages = target.connection.execute("PRAGMA page_count").fetchone()[0]
        target.connection.execute(f"PRAGMA max_page_count = {pages + 40}")
        with pytest.raises(sqlite3.OperationalError) as full:
            carry_out(reader, target, looked, quiet)
        assert why(full.value) == "the disk is full"
    move(one, two)
    assert moved(one) == moved(two)
