"""Databases to move: filled with what is hard to copy, and compared by what a reader of each engine sees."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
from tests.engines import server

from kira.adapters.database.moving import lines, postgres_reader, sqlite_reader
from kira.adapters.database.schema import bring_up_to_date
from kira.domain.texts import searchable

ADA, BORA = "01a00000-0000-7000-8000-00000000000a", "01b00000-0000-7000-8000-00000000000b"
HARD = (
    "it's \"quoted\" and 'again'",
    "tab\there, line\nand\r\nreturn, form\f feed\v and \b back",
    "back\\slash \\N \\. \\t \\\\ and %s %I",
    "emoji 🎉👩‍👩‍👧 and ümläut, 漢字, עברית",
    "\x1d\x1e\x1f\x01 controls",
    "\\N",
    ".",
    " ",
    "a word " * 4_000,
    "copperbeech is only here",
)
BIG = 9_007_199_254_740_993
_names = count(1)
_MESSAGE = (
    "INSERT INTO messages (user_id, id, conversation_id, parent_id, role, content, search_text, model, prompt_tokens, "
    "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def seed(path: Path, messages: int = 120) -> Path:
    """Make a file with two users, long branches of `messages` messages each, and a row in every table that is moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bring_up_to_date(path)
    with closing(sqlite3.connect(path)) as file:
        for number, user in enumerate((ADA, BORA)):
            _user(file, user, number)
            file.executemany(_MESSAGE, _messages(user, messages))
        for sql in _REST:
            file.execute(sql.replace("ADA", ADA).replace("BIG", str(BIG)))
        file.commit()
    return path


def database(schema: bool = False, kind: str = "postgres") -> str:
    """Make an empty database, with Kira's schema if wanted; return the address of its superuser."""
    name = f"moved_{next(_names)}"
    running = server(kind)
    with psycopg.connect(running.address(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}" + (" TEMPLATE kira_template" if schema else ""))
    return running.address(database=name)


def contents(side: Path | str) -> dict[str, tuple[int, int]]:
    """Return the number and the digest of every table's rows, as a reader of the side sees them."""
    reader = sqlite_reader.open_source(side) if isinstance(side, Path) else postgres_reader.open_source(side)
    with closing(reader):
        return {name: _summed(reader.blocks(table, table.own)) for name, table in reader.tables().items()}


def moved(side: Path | str) -> dict[str, tuple[int, int]]:
    """Return the contents of what is moved."""
    return {name: found for name, found in contents(side).items() if name != "schema_steps"}


def shape(address: str) -> list[tuple[object, ...]]:
    """Return everything of a PostgreSQL schema that a move puts off."""
    with psycopg.connect(address, options="-c search_path=kira") as connection:
        return connection.execute(_SHAPE).fetchall()


def _summed(blocks: Iterable[bytes]) -> tuple[int, int]:
    rows = digest = 0
    for block in blocks:
        rows += block.count(b"\n")
        digest += lines.digest(block)
    return rows, digest


def _user(file: sqlite3.Connection, user: str, number: int) -> None:
    file.execute(
        "INSERT INTO users (id, email, name, role, created_at) VALUES (?, ?, ?, 'user', ?)",
        (user, f"{number}@example.org" if number else None, HARD[number], BIG),
    )
    file.execute(
        "INSERT INTO conversations (user_id, id, title, created_at, updated_at) VALUES (?, ?, ?, 1, ?)",
        (user, f"{user}-c", HARD[number + 1], -BIG),
    )


def _messages(user: str, messages: int) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for number in range(messages):
        text = HARD[number % len(HARD)]
        parent = f"m{number - 1:06d}" if number else None
        model = HARD[number % 3] if number % 2 else None
        made = (user, f"m{number:06d}", f"{user}-c", parent, ("user", "assistant")[number % 2], text)
        found.append((*made, searchable(text), model, number if number % 3 else None, BIG + number))
    return found


_REST = (
    "INSERT INTO runs (user_id, id, kind, background, conversation_id, message_id, model, state, created_at) "
    "VALUES ('ADA', 'r1', 'reply', 0, 'ADA-c', 'm000000', 'test:latest', 'queued', BIG)",
    "INSERT INTO runs (user_id, id, kind, background, model, state, lease, lease_until, started_at, created_at) "
    "VALUES ('ADA', 'r2', 'title', 1, 'test:latest', 'running', 'l', BIG, 1, 2)",
    "INSERT INTO sessions (user_id, id, refresh_hash, device, created_at, seen_at, expires_at) "
    "VALUES ('ADA', 's', 'h', 'a ''device''', 1, 2, 3)",
    "INSERT INTO invitations (id, token_hash, created_by, created_at, expires_at) VALUES ('i', 't', 'ADA', 1, 2)",
    "INSERT INTO settings (user_id, system_prompt, updated_at) VALUES ('ADA', char(9, 10, 92), 1)",
    "INSERT INTO shares (user_id, model, served) VALUES ('ADA', 'm', BIG)",
    "INSERT INTO limits (user_id, name, arrival) VALUES ('ADA', 'api', BIG)",
    "INSERT INTO attempts (key, arrival) VALUES ('k', 1)",
    "INSERT INTO widgets (user_id, id, kind, title, position, width, height, created_at) "
    "VALUES ('ADA', 'w', 'clock', '', 0, 1, 1, 1)",
    "INSERT INTO findings (server, model, version, slots, found_at) VALUES ('http://x', 'm', '', 4, 1)",
)
_SHAPE = """
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'kira'::regnamespace
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'kira'
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'table', relname, relowner::regrole::text, relrowsecurity || ' ' || relforcerowsecurity FROM pg_class
WHERE relnamespace = 'kira'::regnamespace AND relkind = 'r'
UNION ALL SELECT 'policy', tablename, policyname, qual FROM pg_policies
ORDER BY 1, 2, 3
"""
