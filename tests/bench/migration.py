"""Moving a file to PostgreSQL: beside pgloader and psql's `\\copy`, on the same rows and the same server."""

from __future__ import annotations

import csv
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from tests.bench.marks import Mark

from kira.adapters.database.moving import postponed, sqlite_reader
from kira.adapters.database.moving.move import begin, carry_out
from kira.adapters.database.moving.postgres_target import PostgresTarget
from kira.adapters.database.moving.sides import Tell
from kira.adapters.database.postgres.embedded import Embedded
from kira.adapters.database.schema import bring_up_to_date
from kira.domain.ids import new_id
from kira.domain.texts import searchable

MESSAGES = int(os.environ.get("KIRA_BENCH_MESSAGES", "1000000"))
MESSAGES_WHOLE = 100_000
ROUNDS = 3
USERS = 100
MESSAGES_EACH = 20
TEXTS = 2_000
WORDS = ["it's", '"quoted"', "tab\there", "new\nline", "back\\slash", "emoji 🎉", "größer", "漢字"]
COLUMNS = (
    "user_id, id, conversation_id, parent_id, role, content, search_text, model, run_id, cancelled, prompt_tokens, "
    "completion_tokens, idempotency_key, created_at"
)
PGLOADER = """
LOAD DATABASE FROM {file} INTO postgresql://postgres@unix:{folder}:{port}/{name}
WITH data only, workers = 2, concurrency = 1, prefetch rows = 1000
SET search_path TO 'kira', work_mem TO '64MB'
INCLUDING ONLY TABLE NAMES LIKE {tables};
"""  # with as many rows ahead as it takes by itself, a million of this width exhaust its memory


def migration() -> list[Mark]:
    """Fill a server from one file in several ways, alternately; only the rows of messages are compared."""
    with tempfile.TemporaryDirectory(prefix="kira-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        file, table = Path(folder, "kira.sqlite"), Path(folder, "messages.csv")
        fill(file, MESSAGES)
        _write_csv(file, table)
        server = Embedded(Path(folder, "pg"), options=["-c", "max_wal_size=4GB"])
        try:
            times = _rounds(file, table, server)
            whole = _whole(Path(folder, "small.sqlite"), server) if shutil.which("pgloader") else None
        finally:
            server.stop()
    return _marks(times) + ([whole] if whole else [])


def fill(path: Path, messages: int) -> None:
    """Make a file with `messages` messages of about 200 characters."""
    bring_up_to_date(path)
    chance = random.Random(1)
    words = WORDS + [f"word{number}" for number in range(3_000)]
    texts = []
    for _ in range(TEXTS):
        text = " ".join(chance.choices(words, k=chance.randint(10, 44)))
        texts.append((text, searchable(text)))
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA synchronous = OFF")
        users = [new_id() for _ in range(USERS)]
        file.executemany(
            "INSERT INTO users (id, email, name, role, created_at) VALUES (?, ?, 'somebody', 'user', 1)",
            [(user, f"{user}@example.org") for user in users],
        )
        for number in range(messages // MESSAGES_EACH):
            _conversation(file, users[number % USERS], texts, chance, number)
        file.commit()


def _conversation(
    file: sqlite3.Connection, user: str, texts: list[tuple[str, str]], chance: random.Random, number: int
) -> None:
    conversation, parent, now = new_id(), None, 1_700_000_000_000_000 + number
    file.execute(
        "INSERT INTO conversations (user_id, id, title, titled_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        (user, conversation, "A conversation", "words", now, now),
    )
    rows = []
    for place in range(MESSAGES_EACH):
        message, (text, words) = new_id(), chance.choice(texts)
        answered = ("llama3.2:3b", new_id(), 0, 120, 88) if place % 2 else (None, None, 0, None, None)
        role = ("user", "assistant")[place % 2]
        rows.append((user, message, conversation, parent, role, text, words, *answered, None, now + place))
        parent = message
    file.executemany(f"INSERT INTO messages ({COLUMNS}) VALUES ({', '.join('?' * 14)})", rows)


def _write_csv(file: Path, table: Path) -> None:
    with closing(sqlite3.connect(file)) as source, table.open("w", encoding="utf-8", newline="") as written:
        writer = csv.writer(written)
        # An empty field is NULL to PostgreSQL only without quotes, which is how the standard library writes None.
        writer.writerows(source.execute(f"SELECT {COLUMNS} FROM messages"))
    table.chmod(0o644)


def _rounds(file: Path, table: Path, server: Embedded) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        address = _database(server, "peer")
        _be_quiet(server)
        for name, seconds in _kira(file, address).items():
            times.setdefault(name, []).append(seconds)
        ways: list[tuple[str, Callable[[], bool]]] = [("psql", lambda: _psql(server, table))]
        if shutil.which("pgloader"):
            ways.append(("pgloader", lambda: _pgloader(server, file)))
        for name, way in ways:
            _empty(server)
            _be_quiet(server)
            began = time.perf_counter()
            if way():
                times.setdefault(name, []).append(time.perf_counter() - began)
                _count(server)
    return times


def _whole(file: Path, server: Embedded) -> Mark:
    """Move everything, to a database that Kira can start on; one round, because pgloader takes a minute."""
    fill(file, MESSAGES_WHOLE)
    address = _database(server, "whole")
    _be_quiet(server)
    kira = _kira(file, address)["whole"]
    with closing(PostgresTarget(_database(server, "peer"))) as target:
        target.make_ready()
    _be_quiet(server)
    began = time.perf_counter()
    assert _pgloader(server, file, "'users', 'conversations', 'messages'")
    peer = time.perf_counter() - began
    rates = f"{MESSAGES_WHOLE / kira:,.0f} rows/s and compared; {MESSAGES_WHOLE / peer:,.0f} rows/s"
    rule = f"{MESSAGES_WHOLE:,} messages with keys, references and words for searches: {rates}"
    return Mark("migration over pgloader, data only, into the same schema", peer / kira, 4, "x", rule, True)


def _be_quiet(server: Embedded) -> None:
    """Let everything be written that an earlier way left, so that none pays for another's work."""
    with psycopg.connect(server.address(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    os.sync()


def _database(server: Embedded, name: str) -> str:
    """Make an empty database; the one of that name goes, so that each way finds as much free memory and disk."""
    with psycopg.connect(server.address(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return server.address(database=name)


def _kira(file: Path, address: str) -> dict[str, float]:
    spent: dict[str, float] = {}

    @contextmanager
    def phase(label: str, *, unit: str | None = None) -> Iterator[Tell]:
        began = time.perf_counter()
        yield lambda done, total: None
        spent[label] = time.perf_counter() - began

    with closing(sqlite_reader.open_source(file)) as source, closing(PostgresTarget(address)) as target:
        target.make_ready()
        moved = carry_out(source, target, begin(source, target, anew=False), phase)
    print(
        f"  {' '.join(f'{label}: {seconds:.1f} s;' for label, seconds in spent.items() if seconds > 0.1)}",
        file=sys.stderr,
    )
    return {"copying": spent["Copying messages"], "whole": moved.seconds}


def _empty(server: Embedded) -> None:
    """Make the same tables without keys, triggers and row security, as a migration fills them."""
    address = _database(server, "peer")
    with closing(PostgresTarget(address)) as target:
        target.make_ready()
        target.begin("", {})
        assert postponed.still_to_do(target.connection)
        target.connection.execute("ALTER TABLE messages DISABLE TRIGGER USER")


def _psql(server: Embedded, table: Path) -> bool:
    copy = f"\\copy kira.messages ({COLUMNS}) FROM '{table}' WITH (FORMAT csv)"
    command = [shutil.which("psql") or "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", server.address(database="peer")]
    subprocess.run([*command, "-c", copy], check=True)
    return True


def _pgloader(server: Embedded, file: Path, tables: str = "'messages'") -> bool:
    """Return whether it came to an end: its memory is bounded and may be exhausted by rows of this width."""
    script = file.with_name("messages.load")
    place = {"folder": server.socket_folder, "port": server.port, "name": "peer"}
    script.write_text(PGLOADER.format(file=file, tables=tables, **place))
    done = subprocess.run(["pgloader", str(script)], check=False, capture_output=True)
    return done.returncode == 0


def _count(server: Embedded) -> None:
    with psycopg.connect(server.address(database="peer")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM kira.messages").fetchone() == (MESSAGES,)


def _marks(times: dict[str, list[float]]) -> list[Mark]:
    each = {name: statistics.median(spent) for name, spent in times.items()}
    rates = "; ".join(f"{name} {MESSAGES / seconds:,.0f} rows/s" for name, seconds in each.items())
    print(f"  {rates}", file=sys.stderr)
    rule = f"median of {ROUNDS} rounds, alternately, {MESSAGES:,} messages: {rates}"
    marks = [Mark("copying over psql's copy of a ready file", each["psql"] / each["copying"], 0.7, "x", rule, True)]
    if "pgloader" in each:
        marks.append(Mark("copying alone over pgloader's", each["pgloader"] / each["copying"], 4, "x", rule, True))
    return marks
