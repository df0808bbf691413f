"""A search finds the same on every database: nasty texts, hand-made and random queries."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from tests.engines import SERVERS, Postgres, Sqlite

from kira.adapters.database.catalogue import load
from kira.adapters.database.postgres.texts import prepared
from kira.domain.search import parse
from kira.domain.texts import searchable
from kira.ports.database import Call, Database

SEED = 20_261_125
USER = "018f0000-0000-7000-8000-00000000000a"
DOCUMENTS = [
    "The quick brown fox jumps over the lazy dog",
    "Invoices for the hotel in Zürich were paid",
    "Please pay the invoice; the hotel is naïve about it",
    "E-mail me at bob@example.com about the C++ project v2.0",
    "state-of-the-art vector search",
    "I am not going to the meeting about the meetings",
    "New York is not new, York is old",
    "日本語のテキスト検索",
    "don't stop, can't won't",
    "user_id and file_name.txt in /home/kira",
    "cats CAT Cat",
    "AND OR NOT NEAR",
    "Über die Straße, café Café cafe\u0301",
    "meeting tomorrow with the project team",
    "project meeting notes",
    "İstanbul ışık ſharp ﬁne ﬂow ½ x² ①②③",
    "Łódź Ørsted đà Ñandú",
    "привет ПРИВЕТ Ёлка",
    "हिन्दी भाषा",
    "שלום עולם العربية",
    "a'b \"quoted\" back\\slash co:lon se;mi (paren) [br] {cu} a&b|c !d <-> :* '':1A",
    "🙂 emoji🙂between 👩\u200d💻 zwj",
    "\t tabs\nnewlines\r\n \u00a0nbsp\u2003em",
    "x" * 3_000,
    "0 00 007 1e5 0x1F -5 1.000,5",
    "𞤀𞤣𞤤𞤢𞤥 osage 𐓏𐓘 new scripts",
    "ꮳꭺꮇ ᏣᎳᎩ cherokee",
    "a\u0300\u0301\u0302 marks",
    "the the the",
    "",
]
QUERIES = [
    "fox",
    "FOX",
    "quick fox",
    '"quick brown"',
    '"brown quick"',
    "-fox",
    "dog -fox",
    "fox OR invoice",
    "hotel -invoice",
    "inv*",
    "invoice*",
    "zurich",
    "Zürich",
    "naive",
    "e-mail",
    '"e mail"',
    "bob@example.com",
    "example",
    "c++",
    "c",
    "v2.0",
    "v2",
    "state-of-the-art",
    '"of the art"',
    "don't",
    "don",
    "user_id",
    "file_name.txt",
    '"file name"',
    "cat",
    "cat*",
    "AND",
    "OR",
    "NOT",
    "OR OR",
    "near",
    "strasse",
    "straße",
    "cafe",
    "café",
    "日本語のテキスト検索",
    "日本*",
    "istanbul",
    "isik",
    "sharp",
    "fine",
    "½",
    "1",
    "x2",
    "123",
    "łódź",
    "lodz",
    "orsted",
    "ørsted",
    "nandu",
    "привет",
    "елка",
    "हिन्दी",
    "שלום",
    "a'b",
    "'",
    '"',
    '""',
    '"quoted',
    "back\\slash",
    "co:lon",
    "a&b|c",
    "!d",
    "<->",
    ":*",
    "'':1A",
    "🙂",
    "emoji*",
    "zwj",
    "nbsp",
    "x*",
    "x" * 100 + "*",
    "007",
    "1e5",
    "-5",
    "1.000,5",
    "𞤀𞤣𞤤𞤢𞤥",
    "𐓏𐓘",
    "ᏣᎳᎩ",
    "ꮳꭺꮇ",
    "a",
    "the",
    '"the the"',
    '"the the the"',
    '"the the the the"',
    '"new york" -"is old"',
    '-"new york" york',
    'york OR "lazy dog" -cat',
    "*",
    "-",
    "--x",
    "new scripts",
    '"osage new"',
    '"york*',
    '"quick bro*"',
    "me* tom*",
    "quick OR -fox dog",
]
WORDS = [
    "ape",
    "apes",
    "bee",
    "Café",
    "cafe",
    "dog's",
    "e-mail",
    "v2.0",
    "x_y",
    "ß",
    "ss",
    "日本",
    "привет",
    "1",
    "01",
    "a",
]


def documents() -> list[str]:
    random.seed(SEED)
    made = [" ".join(random.choices(WORDS, k=random.randint(1, 12))) for _ in range(120)]
    return [*DOCUMENTS, *made]


def queries() -> list[str]:
    random.seed(SEED + 1)

    def term() -> str:
        word = random.choice(WORDS)
        phrase = '"' + " ".join(random.choices(WORDS, k=random.randint(1, 3))) + '"'
        chosen = random.choice([word, word, word[: random.randint(1, len(word))] + "*", phrase])
        return random.choice(["", "", "", "-"]) + chosen

    joined = (
        " ".join([term(), *(random.choice(["", "OR "]) + term() for _ in range(random.randint(0, 3)))])
        for _ in range(420)
    )
    return [*QUERIES, *joined]


async def settle(database: Database) -> None:
    await database.system.execute("accounts.add_local", {"id": USER, "name": "You", "now": 1})
    conversation = {"conversation_id": "c", "title": "t", "titled_by": "user", "now": 1}
    asked = [
        {
            "message_id": f"m{number:03}",
            "conversation_id": "c",
            "content": text,
            "search_text": searchable(text),
            "now": 1,
        }
        for number, text in enumerate(documents())
    ]
    messages = [Call("messages.ask", {**each, "run_id": None, "idempotency_key": None}, must=True) for each in asked]
    await database.of(USER).run([Call("conversations.add", conversation), *messages])


async def found(database: Database, text: str) -> list[str] | None:
    asked = parse(text)
    if asked is None:
        return None
    rows = await database.of(USER).query("search.messages", {"match": database.match(asked, USER), "items": 999})
    return sorted(row["id"] for row in rows)


@pytest.fixture(params=SERVERS)
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    made = Sqlite()(tmp_path), Postgres(request.param)(tmp_path)
    for database in made:
        await settle(database)
    yield made
    for database in made:
        await database.close()


async def test_both_databases_find_the_same(pair: tuple[Database, Database]) -> None:
    asked = queries()
    assert len(asked) > 500
    results = {text: (await found(pair[0], text), await found(pair[1], text)) for text in asked}
    assert {text: each for text, each in results.items() if each[0] != each[1]} == {}
    assert sum(bool(each[0]) for each in results.values()) > 250, "most queries must find something"


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_giant_message_is_found_by_its_beginning(tmp_path: Path, kind: str) -> None:
    database = Postgres(kind)(tmp_path)
    await settle(database)
    words = " ".join(f"w{number:06}" for number in range(1_000_000 // 8))
    given = {"message_id": "giant", "conversation_id": "c", "content": words, "search_text": words, "now": 1}
    await database.of(USER).run([Call("messages.ask", {**given, "run_id": None, "idempotency_key": None}, must=True)])
    for text in ("w000000", "w000001 w000002", '"w000003 w000004"', "w00010*"):
        assert await found(database, text) == ["giant"]
    (row,) = await database.of(USER).query("messages.one", {"message_id": "giant"})
    assert row["content"] == words
    await database.close()


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_search_reads_the_index_and_not_the_messages_of_the_user(tmp_path: Path, kind: str) -> None:
    engine = Postgres(kind)
    await settle(database := engine(tmp_path))
    await database.close()
    engine.past(
        tmp_path,
        "INSERT INTO messages (user_id, id, conversation_id, role, content, search_text, created_at) "
        "SELECT ?, 'n' || n, 'c', 'user', 'x', 'some words of number' || n, 1 FROM generate_series(1, 2000) n",
        USER,
    )
    engine.past(tmp_path, "VACUUM ANALYZE messages")
    ((source,),) = engine.past(tmp_path, "SELECT prosrc FROM pg_proc WHERE proname = 'messages_found'")
    body = re.search(r"RETURN QUERY\s+(.*?);", source, re.DOTALL)
    assert body is not None
    sql = re.sub(r"\bown\b", f"'{USER}'", body[1]).replace("items", "9")
    sql = sql.replace("asked", f"(owner_word('{USER}')::tsquery && $$'number7'$$::tsquery)")
    plan = "\n".join(line for (line,) in engine.past(tmp_path, f"EXPLAIN {sql}"))
    assert "Bitmap Index Scan on messages_by_words" in plan
    assert "Seq Scan" not in plan
    with psycopg.connect(engine.address(tmp_path)) as connection, psycopg.RawCursor(connection) as cursor:
        cursor.execute("SELECT begin_as($1, false)", (USER,))
        search = prepared(load("postgres").tenant["search.messages"], must=False)
        given = {"user_id": USER, "match": "'number7'", "items": 9}
        cursor.execute(b"EXPLAIN " + search.sql, [given[name] for name in search.names])
        plan = "\n".join(line for (line,) in cursor)
    assert plan.startswith("Function Scan on messages_found"), "the function is run once, and nothing else"
