"""Nobody sees or changes anybody else's: attacks through every way in, with a control that must leak."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.database.catalogues import forge, write

from kira.adapters.database.catalogue import Catalogue, load
from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.domain.errors import Conflict, KiraError, UnprovenStatement
from kira.ports.database import Call, Database, NoRow

ANNA, BELA = "018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b"
SECRET = "zebra"
TABLES = ("sessions", "settings", "conversations", "messages", "runs", "shares", "limits", "widgets")
DUMPS = {"dump_users": "SELECT * FROM users WHERE id = :other"} | {
    f"dump_{table}": f"SELECT * FROM {table} WHERE user_id = :other" for table in TABLES
}

Opener = Callable[[str, Catalogue | None], Awaitable[Database]]


@pytest.fixture(params=["sqlite"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:

        async def opener(name: str, catalogue: Catalogue | None = None) -> Database:
            made = create_database(SqliteConfig(tmp_path / name / "kira.sqlite"), catalogue)
            stack.push_async_callback(made.close)
            return made

        yield opener


async def settle(database: Database, secret: str, rows: int = 2) -> None:
    """Give Anna and Bela the same things under the same ids; Bela's texts hold `secret`."""
    for user_id, word in ((ANNA, "apple"), (BELA, secret)):
        account = {"id": user_id, "email": f"{user_id}@example.org", "name": word, "role": "user", "now": 1}
        await database.system.execute("accounts.add", {**account, "password_hash": word})
        session = {"owner_id": user_id, "session_id": "x0", "device": word, "checked_hash": word, "now": 1}
        await database.system.execute("sessions.begin", {**session, "refresh_hash": user_id, "expires_at": 10**17})
        own = database.of(user_id)
        given = {"model": word, "model_given": 1, "system_prompt": word, "theme": None, "now": 1}
        calls = [Call("settings.change", given)]
        for number in range(rows if user_id == BELA else 2):
            calls += _things(f"x{number}", word)
        await own.run(calls)


def _things(name: str, word: str) -> list[Call]:
    message = {"message_id": name, "conversation_id": name, "content": word, "search_text": word, "now": 1}
    run = {"run_id": name, "kind": "reply", "background": 0, "message_id": name, "model": word, "now": 1}
    widget = {"widget_id": name, "kind": "note", "title": word, "settings": "{}", "width": 1, "height": 1, "now": 1}
    return [
        Call("conversations.add", {"conversation_id": name, "title": word, "titled_by": "nobody", "now": 1}, must=True),
        Call("messages.ask", {**message, "run_id": name, "idempotency_key": f"{name}{word}"}, must=True),
        Call("runs.add", {**run, "default_model": word, "waiting_max": 99}, must=True),
        Call("widgets.add", {**widget, "widgets_max": 99}, must=True),
        Call("guard.limit", {"name": name, "now": 1, "interval": 10, "tolerance": 10}, must=True),
    ]


@asynccontextmanager
async def dumping(opener: Opener, name: str, folder: Path) -> AsyncIterator[Callable[[], Awaitable[list[Any]]]]:
    """Give a function that reads all rows of Bela, past every wall."""
    database = await opener(name, load("sqlite", write(folder, {}, DUMPS)))

    async def dump() -> list[Any]:
        results = await database.system.run([Call(f"test.{table}", {"other": BELA}) for table in DUMPS])
        return [sorted(map(repr, map(dict, result.rows))) for result in results]

    yield dump


# Every statement of the package, with the ids of somebody else


def guess(name: str) -> object:
    """Return what an attacker would give for the parameter `name`: ids that Bela has too."""
    if name == "match":
        return f'(owner : "{BELA.replace("-", "")}") AND (search_text : ("{SECRET}"* OR "apple"))'
    if name in ("role", "titled_by", "theme", "kind", "state"):
        return {"titled_by": "words", "theme": "dark", "kind": "reply", "state": "done"}.get(name, "user")
    if re.search(r"_id$|^before|^name$|^after", name):
        return "x1" if "before" not in name else "x9"
    if re.search(r"now|items|_max|tokens|position|width|height|since|given|cancelled|background|interval|tol", name):
        return 2
    return f"new {name}"


async def answers(database: Database, name: str, sql: str) -> tuple[str, list[str]]:
    """Run one statement as Anna; return how it ended and what it gave, in words that can be compared."""
    given = {found: guess(found) for found in re.findall(r":([a-z_]+)", sql) if found != "user_id"}
    try:
        (result,) = await database.of(ANNA).run([Call(name, given)])
    except (KiraError, NoRow) as error:
        return f"{type(error).__name__} {error}", []
    return str(result.changes), sorted(map(repr, map(dict, result.rows)))


async def test_no_statement_of_the_package_tells_or_changes_what_others_have(opened: Opener, tmp_path: Path) -> None:
    secret, other = await opened("a", None), await opened("b", None)
    await settle(secret, SECRET)
    await settle(other, "quagga", rows=3)
    async with dumping(opened, "a", tmp_path / "dumps") as dump:
        before = await dump()
        assert sum(map(len, before)) > 10
        gave_rows = 0
        for name, statement in sorted(load("sqlite").tenant.items()):
            here, there = await answers(secret, name, statement.sql), await answers(other, name, statement.sql)
            assert here == there, f"{name} depends on what others have"
            assert SECRET not in repr(here), name
            assert await dump() == before, f"{name} changed what is somebody else's"
            gave_rows += bool(here[1])
        assert gave_rows > 15, "most statements must have met rows of Anna's, or nothing was tried"


async def test_messages_cannot_be_put_into_somebody_elses_conversation(opened: Opener, tmp_path: Path) -> None:
    sql = (
        "INSERT INTO messages (user_id, id, conversation_id, parent_id, role, content, search_text, created_at) "
        "VALUES (:user_id, :id, :conversation_id, :parent_id, 'user', 'x', 'x', 1)"
    )
    database = await opened("a", None)
    await settle(database, SECRET, rows=4)
    direct = await opened("a", load("sqlite", write(tmp_path / "direct", {"put": sql})))
    told = set()
    for conversation_id, parent_id in (("x3", None), ("unknown", None), ("x1", "x3"), ("x1", "unknown")):
        with pytest.raises(Conflict) as refused:
            await direct.of(ANNA).execute(
                "test.put", {"id": "n", "conversation_id": conversation_id, "parent_id": parent_id}
            )
        told.add((refused.value.message, str(refused.value.details)))
    assert len(told) == 1, "what is somebody else's must look like what is not there"
    assert await direct.of(ANNA).execute("test.put", {"id": "n", "conversation_id": "x1", "parent_id": "x1"}) == 1


# Statements that nobody proved


LEAKS: dict[str, tuple[str, list[str], str | None]] = {
    "read": ("SELECT content FROM messages WHERE user_id <> :user_id", ["messages"], None),
    "read_all": ("SELECT content FROM messages", ["messages"], None),
    "nested": (
        "SELECT (SELECT MAX(content) FROM messages) AS found FROM conversations WHERE user_id = :user_id",
        ["messages", "conversations"],
        None,
    ),
    "index": (
        "SELECT m.content FROM messages_fts f JOIN messages m ON m.rowid = f.rowid WHERE f.messages_fts MATCH :match",
        ["messages", "messages_fts"],
        None,
    ),
    "other": ("SELECT email FROM users WHERE id = :other", ["users"], None),
    "change": ("UPDATE messages SET content = 'gone' WHERE user_id = :other", ["messages"], "messages"),
    "upsert": (
        "INSERT INTO limits (user_id, name, arrival) VALUES (:other, 'x0', 5) "
        "ON CONFLICT (user_id, name) DO UPDATE SET arrival = 5",
        ["limits"],
        "limits",
    ),
    "delete": ("DELETE FROM conversations WHERE user_id = :other", ["conversations"], "conversations"),
}
UNTOLD: dict[str, tuple[str, list[str], str | None]] = {
    "second_table": ("SELECT content FROM messages UNION ALL SELECT title FROM widgets", ["widgets"], None),
    "view": ("SELECT model FROM waiting", ["settings"], None),
    "index_itself": ("SELECT COUNT(*) AS found FROM messages_fts_data", ["messages"], None),
    "guests": ("SELECT key FROM attempts", ["limits"], None),
    "parents": ("INSERT INTO widgets SELECT user_id, id, 'note', model, '{}', 1, 1, 1, NULL, NULL, 1 FROM runs",
                ["widgets"], "widgets"),
    "in_table": ("SELECT 1 AS found FROM widgets WHERE title IN (SELECT password_hash FROM users)", ["widgets"], None),
    "write_read": ("UPDATE settings SET theme = 'dark'", ["settings"], None),
    "write_other": ("DELETE FROM runs", ["runs", "messages"], "messages"),
    "schema": ("SELECT sql FROM sqlite_master", ["messages"], None),
    "pragma": ("PRAGMA query_only = OFF", [], None),
    "attach": ("ATTACH ':memory:' AS other", [], None),
    "detach": ("DETACH main", [], None),
    "drop": ("DROP TABLE messages", ["messages"], "messages"),
    "create": ("CREATE TABLE stolen (a)", [], None),
    "trigger": ("CREATE TEMP TRIGGER t AFTER INSERT ON messages BEGIN SELECT 1; END", ["messages"], "messages"),
    "begin": ("COMMIT", [], None),
    "savepoint": ("SAVEPOINT mine", [], None),
    "vacuum": ("REINDEX messages", ["messages"], "messages"),
    "analyze": ("ANALYZE", [], None),
    "extension": ("SELECT load_extension('x')", [], None),
}  # fmt: skip


@pytest.mark.parametrize("name", [*LEAKS, *UNTOLD])
def test_a_statement_without_a_proof_is_refused_before_anything_runs(tmp_path: Path, name: str) -> None:
    sql = (LEAKS | UNTOLD)[name][0]
    if ";" in sql:
        with pytest.raises(UnprovenStatement):
            write(tmp_path, {name: sql})
        return
    write(tmp_path, {name: sql})
    with pytest.raises(UnprovenStatement, match=rf"test\.{name}"):
        load("sqlite", tmp_path)


def test_a_statement_that_was_changed_after_its_proof_is_refused(tmp_path: Path) -> None:
    sql = "SELECT id FROM messages WHERE user_id = :user_id"
    write(tmp_path, {"own": sql})
    assert load("sqlite", tmp_path).tenant["test.own"].tables == frozenset({"messages"})
    path = tmp_path / "queries" / "test.sql"
    path.write_text(path.read_text().replace("user_id = :user_id", "user_id <> :user_id"))
    with pytest.raises(UnprovenStatement, match=r"test\.own"):
        load("sqlite", tmp_path)


@pytest.mark.parametrize("name", [name for name, (sql, _, _) in UNTOLD.items() if ";" not in sql])
async def test_the_engine_refuses_what_a_proof_does_not_name(opened: Opener, tmp_path: Path, name: str) -> None:
    sql, tables, target = UNTOLD[name]
    await settle(await opened("a", None), SECRET)
    forged = await opened("a", forge(write(tmp_path / "forged", {name: sql}), {name: (tables, target)}))
    with pytest.raises(UnprovenStatement):
        await forged.of(ANNA).run([Call(f"test.{name}")])


@pytest.mark.parametrize("name", LEAKS)
async def test_the_control_without_a_prover_leaks(opened: Opener, tmp_path: Path, name: str) -> None:
    """The same attacks with proofs that lie: they must succeed, or nothing here shows anything."""
    sql, tables, target = LEAKS[name]
    await settle(await opened("a", None), SECRET)
    forged = await opened("a", forge(write(tmp_path / "forged", {name: sql}), {name: (tables, target)}))
    async with dumping(opened, "a", tmp_path / "dumps") as dump:
        before = await dump()
        given = {found: BELA if found == "other" else guess(found) for found in re.findall(r":([a-z_]+)", sql)}
        given.pop("user_id", None)
        (result,) = await forged.of(ANNA).run([Call(f"test.{name}", given)])
        leaked = SECRET in repr(result.rows) or BELA in repr(result.rows)
        assert leaked or await dump() != before


async def test_system_statements_cannot_change_the_engine(opened: Opener, tmp_path: Path) -> None:
    names = ("pragma", "attach", "detach", "drop", "create", "begin", "savepoint", "analyze", "extension", "schema")
    statements = {name: UNTOLD[name][0] for name in names}
    database = await opened("a", load("sqlite", write(tmp_path / "system", {}, statements)))
    for name in statements:
        with pytest.raises(UnprovenStatement):
            await database.system.run([Call(f"test.{name}")])
