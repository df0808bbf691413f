"""Bad input: refused with the right status in the one shape of errors, and nothing of the inside is told."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from tests import homes
from tests.api.caller import Answer
from tests.api.conftest import Home

from kira.domain.errors import KiraError
from kira.domain.ids import new_id
from kira.domain.limits import (
    IDEMPOTENCY_KEY_CHARACTERS_MAX,
    MESSAGE_BYTES_MAX,
    PAGE_ITEMS_MAX,
    SEARCH_CHARACTERS_MAX,
    SEARCH_TERMS_MAX,
    SYSTEM_PROMPT_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
)

INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|sqlite|SELECT |INSERT |UPDATE [a-z]|constraint|kira\.(web|services|adapters)|"
    r"/home/|/usr/|/tmp/|pydantic|starlette|fastapi|uvicorn",
    re.IGNORECASE,
)
TAKES_A_BODY = [
    ("POST", "/api/auth/sign-up"),
    ("POST", "/api/auth/sign-in"),
    ("POST", "/api/auth/local"),
    ("PATCH", "/api/auth/me"),
    ("POST", "/api/auth/password"),
    ("POST", "/api/auth/invitations"),
    ("PATCH", "/api/settings"),
    ("POST", "/api/conversations"),
    ("PATCH", "/api/conversations/{id}"),
    ("POST", "/api/conversations/{id}/messages"),
    ("POST", "/api/messages/{id}/regenerate"),
    ("POST", "/api/widgets"),
    ("PATCH", "/api/widgets/{id}"),
]
NAMES = [" ".join(key) for key in TAKES_A_BODY]


def checked(answer: Answer) -> tuple[int, str]:
    """Return status and code of an error that has the one shape and tells nothing of the inside."""
    assert answer.headers["Content-Type"] == "application/json"
    told = answer.json["error"]
    assert re.fullmatch(r"[A-Z][A-Z_]+", told["code"])
    assert re.fullmatch(r"\S.*[.!?]?", told["message"])
    assert INSIDE.search(answer.body.decode()) is None, answer.body
    if "fields" in told:
        assert all(set(each) == {"path", "message"} for each in told["fields"])
    return answer.error


@pytest.fixture
async def conversation_id(home: Home) -> str:
    return await home.alice.begin()


@pytest.mark.parametrize(("method", "path"), TAKES_A_BODY, ids=NAMES)
async def test_what_is_no_json_is_a_bad_request(home: Home, method: str, path: str) -> None:
    where = path.format(id=new_id())
    for body in (b"{", b"{'content': 1}", b'{"content": "x"', b"\xff\xfe{}", b"content=x", b'{"a": NaN, }', b"\x00"):
        assert checked(await home.alice.call(method, where, body)) == (400, "BAD_REQUEST"), body


@pytest.mark.parametrize(("method", "path"), TAKES_A_BODY, ids=NAMES)
async def test_wrong_types_and_unknown_fields_are_invalid(home: Home, method: str, path: str) -> None:
    where = path.format(id=new_id())
    fields = ("title", "content", "model", "email", "password", "name", "token", "settings", "width", "current")
    bodies: list[Any] = [[], "text", 5, True, [{"title": "x"}], {"no such field": 1}]
    values: list[Any] = [["x"], {"x": 1}, 1.5, [[[]]]]
    bodies += [dict.fromkeys(fields, value) for value in values]
    for body in bodies:
        status, code = checked(await home.alice.call(method, where, body))
        assert (status, code) == (422, "INVALID"), body


async def test_a_body_that_nests_deeply_ends_nothing(home: Home) -> None:
    for body in (b"[" * 100_000, b'{"settings":' * 50_000, b'{"content": ' + b"9" * 100_000 + b"}"):
        answer = await home.alice.post("/api/widgets", body)
        assert checked(answer)[0] in (400, 422)
    assert (await home.alice.get("/api/widgets")).status == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_ten_megabytes_are_too_large(home: Home, conversation_id: str, chunked: bool) -> None:
    path = f"/api/conversations/{conversation_id}/messages"
    body = json.dumps({"content": "x" * 10_000_000}).encode()
    if chunked:

        async def parts() -> Any:
            for at in range(0, len(body), 65_536):
                yield body[at : at + 65_536]

        headers = {"Authorization": f"Bearer {home.alice.token}", "Content-Type": "application/json"}
        async with home.alice.session.post(path, data=parts(), headers=headers) as response:
            answer = Answer(response.status, response.headers, await response.read())
    else:
        answer = await home.alice.post(path, body)
    if homes.is_aws():  # a gateway refuses what no function can be given, in its own words
        assert answer.status == 413
    else:
        assert checked(answer) == (413, "TOO_LARGE")
    assert await home.alice.messages(conversation_id) == []


async def test_a_message_may_have_so_many_bytes_and_no_more(home: Home, conversation_id: str) -> None:
    path = f"/api/conversations/{conversation_id}/messages"
    two_bytes_each = b"\xc3\xa9" * (MESSAGE_BYTES_MAX // 2)
    assert (await home.alice.post(path, b'{"content": "' + two_bytes_each + b'"}')).status == 202
    assert checked(await home.alice.post(path, b'{"content": "x' + two_bytes_each + b'"}')) == (413, "TOO_LARGE")
    assert checked(await home.alice.post(path, {"content": "x" * (MESSAGE_BYTES_MAX + 1)})) == (422, "INVALID")


async def test_a_length_that_is_none_is_refused(home: Home) -> None:
    for length in ("-1", "x", "99999999999999999999999", "0x10", ""):
        request = f"POST /api/conversations HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        answer = await raw(home, request.encode())
        assert re.match(rb"HTTP/1\.1 4\d\d ", answer)
        assert INSIDE.search(answer.decode()) is None


async def test_oversized_headers_are_refused_and_others_are_served(home: Home) -> None:
    large = b"x" * 200_000
    for request in (
        b"GET /api/health HTTP/1.1\r\nHost: x\r\nX-Large: " + large + b"\r\n\r\n",
        b"GET /api/health?" + large + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + large + b"\r\n\r\n",
        b"GET /api/auth/me HTTP/1.1\r\nHost: x\r\nCookie: kira_refresh=" + large + b"\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 30_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + large,
    ):
        answer = await raw(home, request)
        assert b" 500 " not in answer[:20]
        assert INSIDE.search(answer.decode("latin-1")) is None
    assert (await home.nobody.get("/api/health")).status == 200


NOT_IDS = ["x", "1", "..", "%00", "%2e%2e", "null", "0" * 36, "%C3%A9", "'%20OR%201=1--", "%F0%9F%98%80", "a" * 5_000]


async def test_what_is_no_id_is_not_found(home: Home) -> None:
    expected = await home.alice.get(f"/api/conversations/{new_id()}")
    paths = ["conversations/{}", "conversations/{}/messages", "runs/{}", "runs/{}/events"]
    for name in NOT_IDS:
        for path in paths:
            answer = await home.alice.get("/api/" + path.format(name))
            assert checked(answer) == (404, "NOT_FOUND")
            assert answer.body == expected.body
        for method, path in (("DELETE", "messages"), ("DELETE", "widgets"), ("DELETE", "auth/sessions")):
            assert checked(await home.alice.call(method, f"/api/{path}/{name}")) == (404, "NOT_FOUND")


async def test_an_id_has_one_spelling(home: Home, conversation_id: str) -> None:
    for name in (
        conversation_id.upper(),
        f"{{{conversation_id}}}",
        conversation_id.replace("-", ""),
        conversation_id + "%0A",
    ):
        assert checked(await home.alice.get(f"/api/conversations/{name}")) == (404, "NOT_FOUND")


TEXTS = {
    "NUL": "a\x00b",
    "half a pair": "a\ud800b",
    "the other half": "\udc00",
    "halves in the wrong order": "\udc00\ud800",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_what_cannot_be_stored_is_refused_everywhere(home: Home, conversation_id: str, text: str) -> None:
    widget = (await home.alice.post("/api/widgets", {"kind": "note"})).json["id"]
    conversation = f"/api/conversations/{conversation_id}"
    tries: list[tuple[str, str, Any]] = [
        ("POST", f"{conversation}/messages", {"content": text}),
        ("POST", f"{conversation}/messages", {"content": "x", "model": text}),
        ("POST", "/api/conversations", {"title": text}),
        ("PATCH", conversation, {"title": text}),
        ("POST", "/api/widgets", {"kind": "note", "title": text}),
        ("POST", "/api/widgets", {"kind": "note", "settings": {"text": text}}),
        ("POST", "/api/widgets", {"kind": "note", "settings": {text: "x"}}),
        ("PATCH", f"/api/widgets/{widget}", {"settings": {"text": text}}),
        ("PATCH", "/api/settings", {"system_prompt": text}),
        ("PATCH", "/api/settings", {"model": text}),
        ("PATCH", "/api/auth/me", {"name": text}),
        ("PATCH", "/api/auth/me", {"email": f"{text}@example.org"}),
        ("POST", "/api/auth/sign-up", {"email": "e@example.org", "password": "long enough", "name": text}),
        ("POST", "/api/auth/invitations", {"email": f"{text}@example.org"}),
        ("POST", f"{conversation}/messages", {"content": "x", "parent_id": text + "0" * (36 - len(text))}),
    ]
    for method, path, body in tries:
        assert checked(await home.alice.call(method, path, body))[0] in (404, 422), (path, body)
    for path in ("sign-in", "local"):
        body = {"token": text} if path == "local" else {"email": f"{text}@example.org", "password": text}
        assert checked(await home.nobody.post(f"/api/auth/{path}", body))[0] in (401, 403, 422)
    assert await home.alice.messages(conversation_id) == []


async def test_control_characters_are_kept_in_messages_and_not_in_titles(home: Home) -> None:
    control = "".join(map(chr, [*range(1, 32), 127, 0x85, 0x2028, 0x202E, 0xFEFF, 0xFFFE]))
    conversation_id = await home.alice.begin(title=f"a{control}b")
    title = (await home.alice.get(f"/api/conversations/{conversation_id}")).json["title"]
    assert re.fullmatch(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+", title)
    sent = await home.alice.send(conversation_id, f"a{control}b \U0001f600")
    assert sent["message"]["content"] == f"a{control}b \U0001f600"
    frames = await home.alice.follow(f"/api/runs/{sent['run']['id']}/events")
    assert frames[-1].kind == "done"
    assert (await home.alice.messages(conversation_id))[0]["content"] == sent["message"]["content"]


async def test_an_empty_message_is_invalid(home: Home, conversation_id: str) -> None:
    for content in ("", " ", "\n\t ", "\u3000"):
        assert checked(
            await home.alice.post(f"/api/conversations/{conversation_id}/messages", {"content": content})
        ) == (
            422,
            "INVALID",
        )


async def test_what_is_too_long_is_invalid(home: Home, conversation_id: str) -> None:
    messages = f"/api/conversations/{conversation_id}/messages"
    key = {"Idempotency_Key": "k" * (IDEMPOTENCY_KEY_CHARACTERS_MAX + 1)}
    answers = [
        await home.alice.post("/api/conversations", {"title": "x" * (TITLE_CHARACTERS_MAX + 1)}),
        await home.alice.patch("/api/settings", {"system_prompt": "x" * (SYSTEM_PROMPT_CHARACTERS_MAX + 1)}),
        await home.alice.post(messages, {"content": "x"}, **key),
        await home.alice.post(messages, {"content": "x"}, Idempotency_Key=""),
        await home.alice.post(messages, {"content": "x", "model": "m" * 1_000}),
        await home.alice.post(messages, {"content": "x", "model": "no such model"}),
        await home.alice.get("/api/search?q=" + "x" * (SEARCH_CHARACTERS_MAX + 1)),
        await home.alice.get("/api/search?q=" + "+".join("x" * (SEARCH_TERMS_MAX + 1))),
        await home.alice.get("/api/conversations?before=" + "x" * 65),
    ]
    assert [checked(answer) for answer in answers] == [(422, "INVALID")] * len(answers)


async def test_a_limit_of_a_page_that_is_none_is_invalid(home: Home, conversation_id: str) -> None:
    for limit in ("0", "-1", str(PAGE_ITEMS_MAX + 1), "x", "1.5", "", "9" * 400, "1e3", "%00"):
        for path in ("conversations", f"conversations/{conversation_id}/messages", "auth/sessions", "search"):
            answer = await home.alice.get(f"/api/{path}?q=x&limit={limit}")
            assert checked(answer) == (422, "INVALID")
            assert [each["path"] for each in answer.json["error"]["fields"]] == ["query.limit"]


async def test_a_cursor_that_is_none_ends_nothing(home: Home, conversation_id: str) -> None:
    for cursor in ("x", "%00", "%ED%A0%80", "'", "zzz", "%F0%9F%98%80", "-1"):
        for path in ("conversations", f"conversations/{conversation_id}/messages", "auth/sessions"):
            answer = await home.alice.get(f"/api/{path}?before={cursor}")
            assert answer.status in (200, 422)
            assert INSIDE.search(answer.body.decode()) is None


SEARCHES = [
    '"',
    '"unclosed',
    "*",
    "-",
    "OR",
    "a OR",
    "NEAR(a b)",
    "a:b",
    "^a",
    "{a}",
    "(((",
    "'; DROP TABLE users",
    "%00",
]


async def test_a_strange_search_finds_nothing_and_ends_nothing(home: Home) -> None:
    for text in SEARCHES:
        answer = await home.alice.get(f"/api/search?q={text.replace(' ', '%20')}")
        assert answer.status == (422 if text == "%00" else 200)
        assert INSIDE.search(answer.body.decode()) is None


async def raw(home: Home, request: bytes) -> bytes:
    """Send bytes as they are and return what comes back until the server closes or has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.served.port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read(65_536)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def test_the_check_finds_what_must_not_be_told() -> None:
    for text in ('File "/x/y.py", line 3', "sqlite3.OperationalError: no such table", "SELECT id FROM users"):
        assert INSIDE.search(text)


async def test_a_defect_is_told_without_a_word_of_the_inside(home: Home) -> None:
    async def broken() -> None:
        raise RuntimeError('File "/usr/lib/x.py", line 3: SELECT secret FROM sqlite_master')

    home.served.app.add_api_route("/api/broken", broken)
    answer = await home.alice.get("/api/broken")
    assert checked(answer) == (500, "INTERNAL")
    assert answer.json["error"]["message"] == KiraError().message
    assert (await home.alice.get("/api/auth/me")).status == 200
