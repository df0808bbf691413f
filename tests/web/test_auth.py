"""Accounts over HTTP: cookies, tokens, and answers that tell a guest nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import jwt
import pytest

from kira.domain.accounts import AccountsMode
from kira.domain.ids import new_id
from kira.domain.limits import ACCESS_TOKEN_SECONDS, SESSION_SECONDS, SIGN_IN_PER_ACCOUNT, Limit
from kira.domain.moments import MINUTE
from kira.services.kira import Kira
from kira.testing.hashing import CountingHasher
from kira.testing.visiting import PASSWORD, SmallWorld, accounts_of
from kira.web.apps import build

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
AYA = {"email": "aya@example.org", "password": PASSWORD}
BO = {"email": "bo@example.org", "password": PASSWORD}


class Browser(httpx.AsyncClient):
    """Somebody's browser: keeps cookies, and sends the access token of the last sign-in."""

    def __init__(self, kira: Kira, *, scheme: str = "http", address: str = "192.0.2.1") -> None:
        transport = httpx.ASGITransport(build(kira, "auth"), client=(address, 40_000))
        super().__init__(transport=transport, base_url=f"{scheme}://kira.test", headers={"user-agent": FIREFOX})

    async def enter(self, way: str, body: dict[str, Any] | None = None) -> httpx.Response:
        reply = await self.post(f"/api/auth/{way}", json=body)
        if reply.is_success:
            self.headers["authorization"] = f"Bearer {reply.json()['access_token']}"
        return reply

    @property
    def refresh_token(self) -> str:
        return self.cookies["kira_refresh"]


def kira_of(
    small_world: SmallWorld, mode: AccountsMode, limits: dict[str, Limit] | None = None
) -> tuple[Kira, CountingHasher]:
    kira, hasher = Kira(small_world, mode, limits or {}), CountingHasher()  # type: ignore[arg-type]  # the other ports are not asked
    vars(kira)["accounts"] = accounts_of(small_world, mode, hasher)
    return kira, hasher


@pytest.fixture
async def kira(small_world: SmallWorld) -> Kira:
    return kira_of(small_world, AccountsMode.OPEN)[0]


@pytest.fixture
async def aya(kira: Kira) -> AsyncIterator[Browser]:
    async with Browser(kira) as browser:
        assert (await browser.enter("sign-up", AYA | {"name": "Aya"})).status_code == 201
        yield browser


@pytest.fixture
async def bo(kira: Kira, aya: Browser) -> AsyncIterator[Browser]:
    async with Browser(kira) as browser:
        assert (await browser.enter("sign-up", BO)).status_code == 201
        yield browser


def error_of(reply: httpx.Response) -> tuple[int, str]:
    body = reply.json()
    assert set(body) == {"error"}
    return reply.status_code, body["error"]["code"]


@pytest.mark.parametrize(
    ("mode", "sign_up"), [(AccountsMode.OFF, False), (AccountsMode.INVITE, True), (AccountsMode.OPEN, True)]
)
async def test_a_guest_learns_how_one_comes_in(small_world: SmallWorld, mode: AccountsMode, sign_up: bool) -> None:
    async with Browser(kira_of(small_world, mode)[0]) as browser:
        options = (await browser.get("/api/auth/options")).json()
    assert (options["accounts"], options["sign_up"]) == (mode.value, sign_up)
    assert set(options) == {"accounts", "sign_up", "version"}


async def test_signing_up_answers_with_the_user_and_a_token(kira: Kira, small_world: SmallWorld) -> None:
    async with Browser(kira) as browser:
        reply = await browser.enter("sign-up", AYA)
        body = reply.json()
        assert (reply.status_code, body["expires_in"]) == (201, ACCESS_TOKEN_SECONDS)
        assert set(body) == {"user", "access_token", "expires_in"}
        assert body["user"] == (await browser.get("/api/auth/me")).json()
    assert set(body["user"]) == {"id", "email", "name", "role", "created_at"}
    assert (body["user"]["role"], body["user"]["email"], body["user"]["name"]) == ("admin", "aya@example.org", "aya")
    assert body["user"]["created_at"].endswith("Z")
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(kira: Kira, scheme: str, secure: bool) -> None:
    async with Browser(kira, scheme=scheme) as browser:
        reply = await browser.enter("sign-up", AYA)
        left = await browser.post("/api/auth/sign-out")
    cookie = SimpleCookie(reply.headers["set-cookie"])["kira_refresh"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/api/auth")
    assert (bool(cookie["secure"]), cookie["max-age"], cookie["domain"]) == (secure, str(SESSION_SECONDS), "")
    assert cookie.value not in reply.text
    told = [SimpleCookie(each) for each in left.headers.get_list("set-cookie")]
    assert [(name, gone.value, gone["max-age"], gone["path"]) for each in told for name, gone in each.items()] == [
        ("kira_refresh", "", "0", "/api/auth"),
        ("kira_refreshed", "", "0", "/"),
    ]


async def test_pages_see_that_a_refresh_token_arrived_and_nothing_of_it(aya: Browser) -> None:
    seen = []
    for _ in range(2):
        reply = await aya.post("/api/auth/refresh")
        kept, shown = (SimpleCookie(each) for each in reply.headers.get_list("set-cookie"))
        seen.append(shown["kira_refreshed"].value)
        assert seen[-1] not in kept["kira_refresh"].value
        assert (shown["kira_refreshed"]["path"], shown["kira_refreshed"]["httponly"]) == ("/", "")
    assert seen[0] != seen[1]


async def test_one_user_comes_in_with_the_printed_token(small_world: SmallWorld) -> None:
    kira, _ = kira_of(small_world, AccountsMode.OFF)
    await kira.accounts.local_user()
    async with Browser(kira) as browser:
        assert error_of(await browser.enter("local", {"token": "wrong"})) == (401, "WRONG_CREDENTIALS")
        assert error_of(await browser.enter("sign-in", AYA)) == (403, "FORBIDDEN")
        assert error_of(await browser.enter("sign-up", AYA)) == (403, "FORBIDDEN")
        reply = await browser.enter("local", {"token": kira.accounts.tokens.local()})
        assert (reply.status_code, reply.json()["user"]["email"]) == (200, None)
        assert (await browser.get("/api/auth/me")).status_code == 200


async def test_unknown_and_known_emails_get_the_same_answer_byte_for_byte(small_world: SmallWorld) -> None:
    kira, hasher = kira_of(small_world, AccountsMode.OPEN)
    async with Browser(kira) as browser:
        await browser.enter("sign-up", AYA)
    answers = []
    for email in ["aya@example.org", "bob@example.org"]:
        before = hasher.verifications
        async with Browser(kira) as guest:
            for _ in range(SIGN_IN_PER_ACCOUNT.count + 1):
                reply = await guest.enter("sign-in", {"email": email, "password": "not this one"})
                answers.append((email, reply.status_code, sorted(reply.headers.raw), reply.content))
        assert hasher.verifications == before + SIGN_IN_PER_ACCOUNT.count
    known = [answer[1:] for answer in answers if answer[0] == "aya@example.org"]
    unknown = [answer[1:] for answer in answers if answer[0] == "bob@example.org"]
    assert known == unknown
    assert [status for status, _, _ in known] == [401] * SIGN_IN_PER_ACCOUNT.count + [429]


async def test_a_limited_guest_is_told_the_true_wait(kira: Kira, aya: Browser) -> None:
    async with Browser(kira) as guest:
        for _ in range(SIGN_IN_PER_ACCOUNT.count):
            await guest.enter("sign-in", AYA | {"password": "wrong"})
        reply = await guest.enter("sign-in", AYA)
    assert error_of(reply) == (429, "RATE_LIMITED")
    assert (reply.json()["error"]["limit"], reply.json()["error"]["retry_after_s"]) == ("sign-in", 60)
    assert reply.headers["retry-after"] == "60"


@pytest.mark.parametrize("way", ["sign-up", "sign-in", "local"])
async def test_malformed_bodies_are_refused_in_the_one_shape(kira: Kira, way: str) -> None:
    async with Browser(kira) as browser:
        for content, status in [(b"{", 400), (b"\xff", 400), (b"", 422), (b"[]", 422), (b"null", 422), (b"7", 422)]:
            headers = {"content-type": "application/json"}
            reply = await browser.post(f"/api/auth/{way}", content=content, headers=headers)
            assert error_of(reply) == (status, "BAD_REQUEST" if status == 400 else "INVALID")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": 7}, "email"),
        ({"email": "a@b\u0000"}, "email"),
        ({"email": "x" * 400 + "@b"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"password": ["x" * 8]}, "password"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"invitation": "x" * 201}, "invitation"),
        ({"role": "admin"}, "role"),
    ],
)
async def test_a_wrong_field_is_named_and_its_value_is_not_repeated(
    kira: Kira, change: dict[str, Any], path: str
) -> None:
    async with Browser(kira) as browser:
        reply = await browser.enter("sign-up", AYA | change)
    assert error_of(reply) == (422, "INVALID")
    assert [field["path"].rpartition(".")[2] for field in reply.json()["error"]["fields"]] == [path]
    assert PASSWORD not in reply.text
    assert "x" * 100 not in reply.text


async def test_a_lone_surrogate_is_a_wrong_value_and_no_defect(kira: Kira) -> None:
    async with Browser(kira) as browser:
        for name, body in [
            ("sign-up", rb'{"email": "a@b\ud800", "password": "long enough"}'),
            ("sign-up", rb'{"email": "a@b", "password": "long enough\ud800"}'),
            ("sign-in", rb'{"email": "a@b", "password": "\udfff"}'),
            ("local", rb'{"token": "\ud800"}'),
        ]:
            headers = {"content-type": "application/json"}
            reply = await browser.post(f"/api/auth/{name}", content=body, headers=headers)
            assert error_of(reply) == (422, "INVALID")


async def test_a_refresh_rotates_the_cookie_and_a_spent_one_ends_the_session(kira: Kira, aya: Browser) -> None:
    spent = aya.refresh_token
    assert (await aya.enter("refresh")).status_code == 200
    kept = aya.refresh_token
    assert kept != spent
    async with Browser(kira) as thief:
        thief.cookies.set("kira_refresh", spent, path="/api/auth")
        assert error_of(await thief.enter("refresh")) == (401, "UNAUTHENTICATED")
    assert error_of(await aya.get("/api/auth/me")) == (401, "UNAUTHENTICATED")
    assert error_of(await aya.enter("refresh")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("token", [None, "", "x", "kira", "A" * 107, "A" * 9000])
async def test_without_a_refresh_token_of_ours_there_is_no_way_in(kira: Kira, token: str | None) -> None:
    async with Browser(kira) as browser:
        headers = {} if token is None else {"cookie": f"kira_refresh={token}"}
        reply = await browser.post("/api/auth/refresh", headers=headers)
    assert error_of(reply) == (401, "UNAUTHENTICATED")
    assert "set-cookie" not in reply.headers


async def test_an_expired_access_token_says_so_and_can_be_refreshed(small_world: SmallWorld, aya: Browser) -> None:
    small_world.clock.advance(ACCESS_TOKEN_SECONDS)
    reply = await aya.get("/api/auth/me")
    assert error_of(reply) == (401, "TOKEN_EXPIRED")
    assert reply.headers["www-authenticate"] == "Bearer"
    await aya.enter("refresh")
    assert (await aya.get("/api/auth/me")).status_code == 200


async def test_forged_tokens_are_refused(kira: Kira, aya: Browser, small_world: SmallWorld) -> None:
    good = aya.headers["authorization"].removeprefix("Bearer ")
    said = jwt.decode(good, options={"verify_signature": False})
    header, claims, signature = good.split(".")
    forged = [
        jwt.encode(said, "", "none"),
        jwt.encode(said, b"x" * 32, "HS256"),
        jwt.encode(said | {"aud": "another"}, small_world.vault.key("access-token"), "HS256"),
        jwt.encode(said | {"sid": new_id()}, small_world.vault.key("access-token"), "HS256"),
        f"{header}.{claims}.{signature[::-1]}",
        f"{header}.{claims}.",
        aya.refresh_token,
        "null",
    ]
    for token in forged:
        reply = await aya.get("/api/auth/me", headers={"authorization": f"Bearer {token}"})
        assert error_of(reply) == (401, "UNAUTHENTICATED")
    for value in ["", "Bearer", f"Basic {good}", good]:
        assert error_of(await aya.get("/api/auth/me", headers={"authorization": value})) == (401, "UNAUTHENTICATED")
    assert (await aya.get("/api/auth/me")).status_code == 200


async def test_devices_are_listed_in_pages_and_ended_at_once(kira: Kira, aya: Browser) -> None:
    async with Browser(kira) as phone:
        phone.headers["user-agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0) Version/26.0 Safari/604"
        await phone.enter("sign-in", AYA)
        body = (await aya.get("/api/auth/sessions")).json()
        assert [(each["device"], each["current"]) for each in body["items"]] == [
            ("Safari on iPhone", False),
            ("Firefox on Linux", True),
        ]
        assert (set(body["items"][0]), body["next"]) == ({"id", "device", "created_at", "seen_at", "current"}, None)
        first = (await aya.get("/api/auth/sessions?limit=1")).json()
        second = (await aya.get(f"/api/auth/sessions?limit=1&before={first['next']}")).json()
        assert (first["items"] + second["items"], second["next"]) == (body["items"], None)
        assert (await phone.get("/api/auth/me")).status_code == 200
        assert (await aya.delete(f"/api/auth/sessions/{body['items'][0]['id']}")).status_code == 204
        assert error_of(await phone.get("/api/auth/me")) == (401, "UNAUTHENTICATED")
        assert error_of(await phone.enter("refresh")) == (401, "UNAUTHENTICATED")


async def test_a_foreign_session_is_not_found_byte_for_byte_like_an_unknown_one(aya: Browser, bo: Browser) -> None:
    foreign = (await bo.get("/api/auth/sessions")).json()["items"][0]["id"]
    replies = [
        await aya.delete(f"/api/auth/sessions/{one}") for one in (foreign, new_id(), "x", "%00", foreign.upper())
    ]
    assert len({(reply.status_code, reply.content, tuple(sorted(reply.headers.raw))) for reply in replies}) == 1
    assert error_of(replies[0]) == (404, "NOT_FOUND")
    assert (await bo.get("/api/auth/me")).status_code == 200


async def test_a_profile_is_changed_and_an_email_belongs_to_one(aya: Browser, bo: Browser) -> None:
    reply = await bo.patch("/api/auth/me", json={"name": "Bo Lee", "email": "BO.Lee@example.org"})
    assert (reply.json()["name"], reply.json()["email"]) == ("Bo Lee", "bo.lee@example.org")
    assert error_of(await bo.patch("/api/auth/me", json={"email": "aya@example.org"})) == (409, "CONFLICT")
    assert error_of(await bo.patch("/api/auth/me", json={"role": "admin"})) == (422, "INVALID")
    assert (await aya.get("/api/auth/me")).json()["name"] == "Aya"


async def test_a_password_is_changed_with_the_present_one_only(kira: Kira, aya: Browser) -> None:
    fresh = {"current": PASSWORD, "password": "a new password"}
    async with Browser(kira) as phone:
        await phone.enter("sign-in", AYA)
        wrong = await aya.post("/api/auth/password", json=fresh | {"current": "wrong"})
        assert error_of(wrong) == (422, "INVALID")
        assert [field["path"] for field in wrong.json()["error"]["fields"]] == ["current"]
        assert (await aya.post("/api/auth/password", json=fresh)).status_code == 204
        assert error_of(await phone.get("/api/auth/me")) == (401, "UNAUTHENTICATED")
        assert error_of(await phone.enter("sign-in", AYA)) == (401, "WRONG_CREDENTIALS")
        assert (await phone.enter("sign-in", AYA | {"password": "a new password"})).status_code == 200
    assert (await aya.get("/api/auth/me")).status_code == 200


async def test_an_admin_invites_and_the_address_lets_one_in(small_world: SmallWorld) -> None:
    kira, _ = kira_of(small_world, AccountsMode.INVITE)
    async with Browser(kira) as admin, Browser(kira) as guest:
        await admin.enter("sign-up", AYA)
        assert error_of(await guest.enter("sign-up", BO)) == (403, "FORBIDDEN")
        reply = await admin.post("/api/auth/invitations", json={"email": "bo@example.org"})
        assert (reply.status_code, set(reply.json())) == (201, {"url", "expires_at"})
        url = httpx.URL(reply.json()["url"])
        assert (url.scheme, url.host, url.path) == ("http", "kira.test", "/")
        invited = BO | {"invitation": url.params["invitation"]}
        assert (await guest.enter("sign-up", invited)).status_code == 201
        assert error_of(await guest.post("/api/auth/invitations", json={})) == (403, "FORBIDDEN")
        assert (await admin.post("/api/auth/invitations")).status_code == 201


async def test_settings_are_ones_own(aya: Browser, bo: Browser) -> None:
    assert (await aya.get("/api/settings")).json() == {"model": None, "system_prompt": "", "theme": "system"}
    changed = (await aya.patch("/api/settings", json={"theme": "dark", "model": "llama3.2"})).json()
    assert changed == {"model": "llama3.2", "system_prompt": "", "theme": "dark"}
    assert (await aya.patch("/api/settings", json={"model": None})).json() == changed | {"model": None}
    assert (await bo.get("/api/settings")).json()["theme"] == "system"
    for wrong in [{"theme": "pink"}, {"system_prompt": "x" * 20_001}, {"system_prompt": "a\u0000"}, {"colour": 1}, []]:
        assert error_of(await aya.patch("/api/settings", json=wrong)) == (422, "INVALID")


SIGNED_IN_ONLY = [
    ("POST", "/api/auth/sign-out"),
    ("GET", "/api/auth/me"),
    ("PATCH", "/api/auth/me"),
    ("POST", "/api/auth/password"),
    ("GET", "/api/auth/sessions"),
    ("DELETE", "/api/auth/sessions/01a00000-0000-7000-8000-00000000000f"),
    ("POST", "/api/auth/invitations"),
    ("GET", "/api/settings"),
    ("PATCH", "/api/settings"),
]


@pytest.mark.parametrize(("method", "path"), SIGNED_IN_ONLY)
async def test_a_guest_and_an_ended_session_are_sent_to_sign_in(
    kira: Kira, aya: Browser, method: str, path: str
) -> None:
    body = {"current": PASSWORD, "password": "a new password"} if path.endswith("password") else {}
    content = {"json": body} if method in {"POST", "PATCH"} else {}
    async with Browser(kira) as guest:
        assert error_of(await guest.request(method, path, **content)) == (401, "UNAUTHENTICATED")  # type: ignore[arg-type]  # a body or none
    assert (await aya.post("/api/auth/sign-out")).status_code == 204
    assert error_of(await aya.request(method, path, **content)) == (401, "UNAUTHENTICATED")  # type: ignore[arg-type]  # a body or none


async def test_the_limit_of_requests_counts_here_too(small_world: SmallWorld) -> None:
    kira, _ = kira_of(small_world, AccountsMode.OPEN, {"api": Limit("api", 3, MINUTE)})
    async with Browser(kira) as aya:
        await aya.enter("sign-up", AYA)
        statuses = [(await aya.get(path)).status_code for path in ["/api/auth/me", "/api/settings"] * 2]
        assert statuses == [200, 200, 200, 429]
        assert error_of(await aya.patch("/api/settings", json={"theme": "dark"})) == (429, "RATE_LIMITED")
        small_world.clock.advance(60)
        assert (await aya.get("/api/settings")).json()["theme"] == "system"
