"""Every route, asked by everybody: a route without an entry here fails, and so does one that forgets the guard."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route
from tests import homes
from tests.api.caller import Answer, Caller
from tests.api.conftest import Home, Homes

from kira.domain.ids import new_id
from kira.testing.serving import Plan
from kira.testing.visiting import PASSWORD
from kira.web.apps import build

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ONLY_READ = ("/metrics", "/api/openapi.json", "/api/docs", "/api/events", "/api/runs/{run_id}/events")
"""Of these CloudFront, or the gateway before the streams, passes on nothing but reading, and says so in its own words.

The first is no address of the API there, but one of the dashboard's pages: CloudWatch counts.
"""
VARIES = frozenset({"date"})


@dataclass(frozen=True)
class Entry:
    """What a route answers: to its user, to an admin, and to the rest.

    `admin` and `other` (who owns nothing that the ids name) are None where they are answered as a user is;
    `nobody` (without a token) and `ended` (with the token of an ended session) likewise follow `nobody`.
    """

    user: int
    body: Any = None
    nobody: int = 401
    admin: int | None = None
    ended: int | None = None
    foreign: int = 404

    def expected(self, path: str) -> dict[str, int]:
        """Return the status for each role; with an id in the path, whoever does not own it finds nothing."""
        owned = "{" in path
        others = self.foreign if owned else self.user
        return {
            "nobody": self.nobody,
            "ended": self.nobody if self.ended is None else self.ended,
            "other": others,
            "admin": others if self.admin is None else self.admin,
            "user": self.user,
        }


ACCOUNT = {"email": "dora@example.org", "password": PASSWORD}
MATRIX = {
    ("GET", "/api/health"): Entry(200, nobody=200),
    ("GET", "/metrics"): Entry(403, nobody=200, admin=200, ended=401),  # from this computer, without a token
    ("GET", "/api/openapi.json"): Entry(200, nobody=200),
    ("GET", "/api/docs"): Entry(200, nobody=200),
    ("GET", "/api/auth/options"): Entry(200, nobody=200),
    ("POST", "/api/auth/sign-up"): Entry(409, ACCOUNT | {"email": "bob@example.org"}, nobody=409),
    ("POST", "/api/auth/sign-in"): Entry(200, ACCOUNT | {"email": "bob@example.org"}, nobody=200),
    ("POST", "/api/auth/local"): Entry(403, {"token": "x"}, nobody=403),  # accounts are on
    ("POST", "/api/auth/refresh"): Entry(401),  # without a cookie
    ("POST", "/api/auth/sign-out"): Entry(204),
    ("GET", "/api/auth/me"): Entry(200),
    ("PATCH", "/api/auth/me"): Entry(200, {"name": "Somebody"}),
    ("POST", "/api/auth/password"): Entry(204, {"current": PASSWORD, "password": PASSWORD + "!"}),
    ("GET", "/api/auth/sessions"): Entry(200),
    ("DELETE", "/api/auth/sessions/{session_id}"): Entry(204),
    ("POST", "/api/auth/invitations"): Entry(403, admin=201),
    ("GET", "/api/settings"): Entry(200),
    ("PATCH", "/api/settings"): Entry(200, {"theme": "dark"}),
    ("GET", "/api/conversations"): Entry(200),
    ("POST", "/api/conversations"): Entry(201),
    ("GET", "/api/conversations/{conversation_id}"): Entry(200),
    ("PATCH", "/api/conversations/{conversation_id}"): Entry(200, {"title": "Another"}),
    ("DELETE", "/api/conversations/{conversation_id}"): Entry(204),
    ("GET", "/api/conversations/{conversation_id}/messages"): Entry(200),
    ("POST", "/api/conversations/{conversation_id}/messages"): Entry(202, {"content": "More"}),
    ("POST", "/api/messages/{message_id}/regenerate"): Entry(202),
    ("DELETE", "/api/messages/{message_id}"): Entry(204),
    ("GET", "/api/runs/{run_id}"): Entry(200),
    ("POST", "/api/runs/{run_id}/cancel"): Entry(202),
    ("GET", "/api/runs/{run_id}/events"): Entry(200),
    ("GET", "/api/events"): Entry(200),
    ("GET", "/api/search"): Entry(200),
    ("GET", "/api/models"): Entry(200),
    ("GET", "/api/widgets"): Entry(200),
    ("POST", "/api/widgets"): Entry(201, {"kind": "note"}),
    ("PATCH", "/api/widgets/{widget_id}"): Entry(200, {"title": "Another"}),
    ("DELETE", "/api/widgets/{widget_id}"): Entry(204),
    ("POST", "/api/widgets/{widget_id}/refresh"): Entry(200),
    ("GET", "/api/usage"): Entry(200),
}
OWNED = [key for key in MATRIX if "{" in key[1]]
QUERIES = {"/api/search": "?q=slot"}
NAMES = [" ".join(key) for key in MATRIX]


@dataclass(frozen=True)
class Scene:
    """Bob has one of everything; carol has nothing, and one of bob's sessions has ended."""

    home: Home
    roles: dict[str, Caller]
    ids: dict[str, str] = field(default_factory=dict)

    async def ask(self, role: str, key: tuple[str, str], ids: dict[str, str] | None = None) -> Answer:
        method, path = key
        where = path.format(**(self.ids if ids is None else ids)) + QUERIES.get(path, "")
        return await self.roles[role].call(method, where, MATRIX[key].body)


async def scene_of(home: Home) -> Scene:
    bob, carol = home.bob, await home.nobody.sign_up("carol")
    conversation_id = await bob.begin()
    run = await bob.ask(conversation_id, "What is a slot?")
    widget = await bob.post("/api/widgets", {"kind": "recent"})
    phone, lost = await home.nobody.sign_in("bob"), await home.nobody.sign_in("bob")
    sessions = (await phone.get("/api/auth/sessions")).json["items"]
    ids = {
        "conversation_id": conversation_id,
        "message_id": run["answer_id"],
        "run_id": run["id"],
        "widget_id": widget.json["id"],
        "session_id": next(session["id"] for session in sessions if session["current"]),
    }
    assert (await lost.post("/api/auth/sign-out")).status == 204
    roles = {"nobody": home.nobody, "ended": lost, "other": carol, "admin": home.alice, "user": bob}
    return Scene(home, roles, ids)


def routes_of_the_app() -> set[tuple[str, str]]:
    """Return method and path of every route there is, from the app itself and from its document."""
    app = build(None)
    found = {(method, path) for route in app.routes for method, path in _of(route)}
    written = {(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item}
    assert written <= found
    return found


def _of(route: BaseRoute) -> list[tuple[str, str]]:
    if not isinstance(route, Route | APIRoute):
        raise TypeError(f"{route} is a kind of route that the matrix does not know")
    return [(method, route.path) for method in route.methods or () if method != "HEAD"]


def test_every_route_has_an_entry_and_every_entry_a_route() -> None:
    assert routes_of_the_app() == set(MATRIX)


def test_the_document_tells_every_route_but_its_own_pages() -> None:
    document = build(None).openapi()
    told = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert set(MATRIX) - told == {("GET", "/api/openapi.json"), ("GET", "/api/docs")}
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("key", MATRIX, ids=NAMES)
async def test_a_route_answers_each_role_as_it_should(home: Home, key: tuple[str, str]) -> None:
    scene = await scene_of(home)
    expected = MATRIX[key].expected(key[1])
    answers = {role: await scene.ask(role, key) for role in expected}
    assert {role: answer.status for role, answer in answers.items()} == expected
    for answer in answers.values():
        if answer.status >= 400:
            assert answer.error[0] == answer.status
            assert ("WWW-Authenticate" in answer.headers) == (answer.status == 401)


@pytest.mark.parametrize("key", OWNED, ids=[" ".join(key) for key in OWNED])
async def test_what_belongs_to_another_user_is_not_told_from_what_nobody_has(home: Home, key: tuple[str, str]) -> None:
    scene = await scene_of(home)
    unknown = dict.fromkeys(scene.ids, new_id())
    never = dict.fromkeys(scene.ids, "not-an-id")
    told = {
        _bytes(await scene.ask(role, key, ids)) for role in ("other", "admin") for ids in (scene.ids, unknown, never)
    }
    told |= {_bytes(await scene.ask("user", key, ids)) for ids in (unknown, never)}
    assert len(told) == 1
    assert told.pop()[0] == 404
    assert (await scene.ask("user", key)).status == MATRIX[key].user


def _bytes(answer: Answer) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    kept = ((name.lower(), value) for name, value in answer.headers.items() if name.lower() not in VARIES)
    return answer.status, tuple(sorted(kept)), answer.body


async def test_a_request_that_needs_no_row_is_guarded_too(home: Home) -> None:
    scene = await scene_of(home)
    ended, conversation = scene.roles["ended"], f"/api/conversations/{scene.ids['conversation_id']}"
    answers = [await ended.get(f"/api/search?q={text}") for text in ("", "-x", "%20")]
    answers += [await ended.patch(path, {}) for path in (conversation, "/api/settings", "/api/auth/me")]
    answers += [await ended.get("/api/conversations", If_None_Match="*")]
    assert [answer.error for answer in answers] == [(401, "UNAUTHENTICATED")] * len(answers)


async def test_what_others_write_is_reached_by_no_field_of_a_body(home: Home) -> None:
    scene = await scene_of(home)
    carol, mine = scene.roles["other"], await scene.roles["other"].begin()
    messages = f"/api/conversations/{mine}/messages"
    for parent_id in (scene.ids["message_id"], new_id()):
        assert (await carol.post(messages, {"content": "x", "parent_id": parent_id})).error == (404, "NOT_FOUND")
        changed = await carol.patch(f"/api/conversations/{mine}", {"leaf_id": parent_id})
        assert changed.error == (404, "NOT_FOUND")
    for cursor in (scene.ids["conversation_id"], new_id()):
        assert (await carol.get(f"/api/conversations?before={cursor}")).json == {"items": [], "next": None}
    assert (await carol.get("/api/search?q=slot")).json["items"] == []
    assert await carol.messages(mine) == []


async def test_a_key_of_another_user_is_no_repeat(home: Home) -> None:
    first = await home.bob.send(await home.bob.begin(), "mine", key="the same key")
    second = await home.alice.send(await home.alice.begin(), "yours", key="the same key")
    assert first["message"]["id"] != second["message"]["id"]
    assert second["message"]["content"] == "yours"


async def test_a_method_that_a_route_does_not_take_is_refused(home_of: Homes, dashboard: Path) -> None:
    taken: dict[str, set[str]] = {}
    for method, path in MATRIX:
        taken.setdefault(path, set()).add(method)
    async with home_of(Plan(works=False, dashboard=dashboard)) as home:
        for path, methods in taken.items():
            is_document = path in ("/api/openapi.json", "/api/docs")
            for method in set(METHODS) - methods - ({"HEAD"} if is_document else set()):
                answer = await home.alice.call(method, path.replace("{", "").replace("}", ""))
                if homes.is_aws() and path in ONLY_READ:
                    assert answer.status in (403, 405) or (method, path) == ("HEAD", "/metrics")
                    continue
                assert answer.status == 405, (method, path)
                assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} <= methods
                if method != "HEAD":
                    assert answer.error == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/conversations/", "/api/auth", "/api//health"])
async def test_an_address_that_is_no_route_is_not_found(home_of: Homes, dashboard: Path, path: str) -> None:
    for plan, again in ((Plan(works=False), False), (Plan(works=False, dashboard=dashboard), True)):
        async with home_of(plan, again=again) as home:
            for caller in (home.nobody, home.bob):
                assert (await caller.get(path)).error == (404, "NOT_FOUND")
