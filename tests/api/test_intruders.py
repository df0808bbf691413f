"""Intruders: tokens that are not good, paths that lead out of the dashboard, and thousands of event streams."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
from tests import homes
from tests.api.caller import PATIENCE_S, Caller, crowd, until
from tests.api.conftest import Home, Homes

from kira.adapters.clock.fixed import FixedClock
from kira.domain.ids import new_id
from kira.domain.limits import ACCESS_TOKEN_SECONDS, STREAMS_PER_USER_MAX
from kira.ports.vault import Vault
from kira.testing.serving import Plan, held_engine

PURPOSE = "access-token"
ATTEMPTS = 10_000
CONNECTIONS = 20


def part(value: dict[str, Any]) -> str:
    """Return a part of a token, written as Kira writes it."""
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def signed(claims: dict[str, Any], key: bytes, digest: str = "sha256", **head: Any) -> str:
    """Sign by hand, since a library would refuse most of what intruders send."""
    text = f"{part({'alg': 'HS256', 'typ': 'JWT', **head})}.{part(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(hmac.digest(key, text.encode(), digest)).decode().rstrip('=')}"


def forged(token: str, vault: Vault) -> dict[str, str]:
    """Return tokens that look like `token` and that Kira has not written, most of them with the keys of `vault`."""
    key = vault.key(PURPOSE)
    claims = jwt.decode(token, options={"verify_signature": False})
    head, body, signature = token.split(".")
    other = {**claims, "sub": new_id()}
    return {
        "no signature": f"{head}.{body}.",
        "alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        "alg None with the signature": f"{part({'alg': 'None', 'typ': 'JWT'})}.{body}.{signature}",
        "another algorithm": signed(claims, key, digest="sha512", alg="HS512"),
        "a key in the head": signed(claims, b"k" * 32, jwk={"kty": "oct", "k": "a" * 43}, kid="x"),
        "another key": signed(claims, b"k" * 32),
        "the key of another purpose": signed(claims, vault.key("refresh-token")),
        "another user": f"{head}.{part(other)}.{signature}",
        "another role": f"{head}.{part({**claims, 'role': 'admin'})}.{signature}",
        "a session of nobody": signed({**claims, "sid": new_id()}, key),
        "a session of another user": signed(other, key),
        "another audience": signed({**claims, "aud": "other"}, key),
        "no audience": signed({name: value for name, value in claims.items() if name != "aud"}, key),
        "no end": signed({name: value for name, value in claims.items() if name != "exp"}, key),
        "an endless end": signed({**claims, "exp": "never"}, key),
        "a user that is a list": signed({**claims, "sub": ["x"]}, key),
        "a role that is none": signed({**claims, "role": "root"}, key),
        "no JSON": f"{head}.{base64.urlsafe_b64encode(b'{').decode()}.{signature}",
        "two parts": f"{head}.{body}",
        "words": "let me in",
        "ten thousand characters": "x" * 10_000,
    }


async def test_a_forged_access_token_opens_nothing(home: Home) -> None:
    assert home.bob.token is not None
    vault = home.served.kira.world.vault
    claims = jwt.decode(home.bob.token, options={"verify_signature": False})
    with_the_key = Caller(home.bob.session, signed(claims, vault.key(PURPOSE)))
    assert (await with_the_key.get("/api/auth/me")).status == 200, "or nothing below was refused for what it says"
    paths = ("/api/auth/me", "/api/conversations", "/api/events", *(() if homes.is_aws() else ("/metrics",)))
    for kind, token in forged(home.bob.token, vault).items():
        intruder = Caller(home.bob.session, token)
        for path in paths:
            assert (await intruder.get(path)).error == (401, "UNAUTHENTICATED"), kind
        assert (await home.bob.get("/api/auth/me")).status == 200


async def test_another_kind_of_authorization_is_none(home: Home) -> None:
    for text in ("Basic {}", "bearer: {}", "Token {}", "{}", "Bearer Bearer {}", "Bearer ", ""):
        answer = await home.nobody.get("/api/auth/me", Authorization=text.format(home.bob.token))
        assert answer.error == (401, "UNAUTHENTICATED")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_refresh_token_is_no_access_token_nor_the_other_way(home: Home) -> None:
    assert (await Caller(home.bob.session, home.bob.refresh_token).get("/api/auth/me")).status == 401
    assert (await refresh(home, str(home.bob.token))).error == (401, "UNAUTHENTICATED")


async def test_an_access_token_expires_to_the_second_and_says_so(home_of: Homes) -> None:
    clock = FixedClock()
    async with home_of(Plan(clock=clock, works=False)) as home:
        clock.advance(ACCESS_TOKEN_SECONDS - 1)
        assert (await home.bob.get("/api/auth/me")).status == 200
        clock.advance(1)
        for path in ("/api/auth/me", "/api/events", f"/api/runs/{new_id()}/events"):
            assert (await home.bob.get(path)).error == (401, "TOKEN_EXPIRED")
        fresh = (await refresh(home, str(home.bob.refresh_token))).json["access_token"]
        assert (await Caller(home.bob.session, fresh).get("/api/auth/me")).status == 200


async def refresh(home: Home, token: str) -> Any:
    return await home.nobody.post("/api/auth/refresh", Cookie=f"kira_refresh={token}")


async def test_a_refresh_token_used_twice_ends_its_session_and_no_other(home: Home) -> None:
    phone = await home.nobody.sign_in("bob")
    first = await refresh(home, str(home.bob.refresh_token))
    assert first.status == 200
    fresh = Caller(home.bob.session, first.json["access_token"])
    assert (await fresh.get("/api/auth/me")).status == 200
    assert (await refresh(home, str(home.bob.refresh_token))).error == (401, "UNAUTHENTICATED")
    follower = first.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert (await refresh(home, follower)).error == (401, "UNAUTHENTICATED")
    assert (await fresh.get("/api/auth/me")).error == (401, "UNAUTHENTICATED")
    assert (await phone.get("/api/auth/me")).status == 200


async def test_of_many_refreshes_with_one_token_at_most_one_succeeds(home: Home) -> None:
    answers = await asyncio.gather(*(refresh(home, str(home.bob.refresh_token)) for _ in range(crowd())))
    assert sorted(answer.status for answer in answers) == [200] + [401] * (crowd() - 1)
    assert (await home.bob.get("/api/auth/me")).status == 401


async def test_a_refresh_token_that_is_none_is_refused(home: Home) -> None:
    for token in ("", "x", "%00", "AAAA", "A" * 5_000, "é", '"', "=" * 80):
        assert (await refresh(home, token)).error == (401, "UNAUTHENTICATED")


TRICKS = [
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/assets/..%2f..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/%252e%252e/secret.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "/.%2e/secret.txt",
    "/..;/secret.txt",
    "//secret.txt",
    "//../secret.txt",
    "/./../secret.txt",
    "/assets//../../secret.txt",
    "/assets/%c0%ae%c0%ae/secret.txt",
    "/assets/../../../../../../etc/passwd",
    "/assets/%2fetc%2fpasswd",
    "//etc/passwd.txt",
    "/file:///etc/passwd.txt",
    "/secret.txt%00.js",
    "/index.html%00",
    "/assets/",
    "/assets",
    "/assets/index-1.js/",
    "/ASSETS/index-1.js",
    "/.vite/manifest.json",
    "/assets/index-1.js%20",
    "/assets/%69ndex-1.js/../../secret.txt",
    "/assets/.%00./secret.txt",
    "/icons/..%2f..%2f..%2fetc%2fpasswd",
    "/api/../secret.txt",
    "/%2e%2e/kira.sqlite",
]


async def test_no_path_leads_out_of_the_dashboard(home_of: Homes, dashboard: Path) -> None:
    async with home_of(Plan(dashboard=dashboard, works=False)) as home:
        for path in TRICKS:
            status, body = await plain(home, f"GET {path} HTTP/1.1")
            page = await plain(home, "GET / HTTP/1.1")
            assert b"a secret" not in body
            assert b"root:" not in body
            assert status in (400, 404) or (status, body) == page, path
            assert page == (200, b"built index.html")


async def test_the_dashboard_is_read_and_nothing_else(home_of: Homes, dashboard: Path) -> None:
    async with home_of(Plan(dashboard=dashboard, works=False)) as home:
        assert await plain(home, "GET /assets/index-1.js HTTP/1.1") == (200, b"built assets/index-1.js")
        assert await plain(home, "GET /assets/%69ndex-1.js HTTP/1.1") == (200, b"built assets/index-1.js")
        assert await plain(home, "HEAD /assets/index-1.js HTTP/1.1") == (200, b"")
        for path in ("/assets/none.js", "/assets/index-2.js", "/none.js", "/icons/none", "/secret.txt"):
            assert (await plain(home, f"GET {path} HTTP/1.1"))[0] == 404
        for path in ("/", "/settings", "/c/0"):
            assert await plain(home, f"GET {path} HTTP/1.1") == (200, b"built index.html")
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            for path in ("/", "/assets/index-1.js", "/settings"):
                assert (await plain(home, f"{method} {path} HTTP/1.1"))[0] in (404, 405)
        upgrade = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
        status, _ = await plain(home, f"{upgrade}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert status in (200, 400, 403, 404, 426)


async def plain(home: Home, request: str) -> tuple[int, bytes]:
    """Send a request line that no client would send; return status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.served.port)
    writer.write(f"{request}\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1"))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


@asynccontextmanager
async def full(home: Home) -> AsyncIterator[str]:
    """Fill all of bob's seats with streams of a run that goes on; yields the path of one more."""
    run_id = (await home.bob.send(await home.bob.begin(), "Go on"))["run"]["id"]
    path = f"/api/runs/{run_id}/events"
    async with AsyncExitStack() as stack:
        for number in range(STREAMS_PER_USER_MAX):
            await stack.enter_async_context(home.bob.stream("/api/events" if number % 2 else path))
        yield path


async def test_a_user_may_hold_so_many_streams_and_gets_each_seat_back(home_of: Homes) -> None:
    async with home_of(Plan(held_engine(slots=4))) as home:
        async with full(home) as path:
            for one_more in (path, "/api/events"):
                refused = await home.bob.get(one_more)
                assert refused.error == (429, "TOO_MANY_STREAMS")
                assert int(refused.headers["Retry-After"]) == refused.json["error"]["retry_after_s"] > 0
            assert (await home.bob.get("/api/conversations")).status == 200
            run_id = (await home.alice.send(await home.alice.begin(), "Go on"))["run"]["id"]
            async with home.alice.stream(f"/api/runs/{run_id}/events") as frames:
                await until(frames, "delta")
        async with asyncio.timeout(PATIENCE_S):
            while home.served.kira.seats.total:
                await asyncio.sleep(0.01)
        async with home.bob.stream(path) as frames:
            await until(frames, "delta")


async def test_ten_thousand_attempts_of_one_user_take_nothing_from_the_others(home_of: Homes) -> None:
    async with home_of(Plan(held_engine(slots=4))) as home, AsyncExitStack() as stack:
        path = await stack.enter_async_context(full(home))
        run_id = (await home.alice.send(await home.alice.begin(), "Go on"))["run"]["id"]
        before = len(asyncio.all_tasks())
        tried = [asyncio.create_task(_try(home, path, ATTEMPTS // CONNECTIONS)) for _ in range(CONNECTIONS)]
        async with home.alice.stream(f"/api/runs/{run_id}/events") as frames:
            await until(frames, "delta")
            assert home.served.kira.seats.total == STREAMS_PER_USER_MAX + 1
        counted = sum(await asyncio.gather(*tried), Counter[int]())
        assert counted == {429: ATTEMPTS}
        assert home.served.kira.seats.total <= STREAMS_PER_USER_MAX + 1
        assert len(asyncio.all_tasks()) <= before + CONNECTIONS
        assert (await home.alice.get("/api/conversations")).status == 200


async def _try(home: Home, path: str, times: int) -> Counter[int]:
    """Ask for a stream again and again on one connection; return how often each status came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.served.port)
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {home.bob.token}\r\n\r\n".encode()
    counted: Counter[int] = Counter()
    while counted.total() < times:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        counted[int(head.split(b" ")[1])] += 1
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not lengths:
            break  # a stream was opened, and has no length
        await reader.readexactly(int(lengths[0].partition(b":")[2]))
    writer.close()
    return counted
