"""Functions behind HTTP answer as the laptop does, on one loop and one pool for as long as they live."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.aws import Aws
from tests.cloud.calling import Answer, Function, function, http_event

from kira.domain.ids import new_id
from kira.domain.limits import BODY_BYTES_MAX, SIGN_IN_PER_ADDRESS

FORM = {"email": "alice@example.org", "password": "correct horse battery", "name": "Alice"}
WRITTEN = "what Alice wrote, and nobody else is to read"


def superuser(environment: dict[str, str]) -> str:
    """Return the address of the superuser of the function's database."""
    host, port = environment["KIRA_DATABASE_HOST"], environment["KIRA_DATABASE_PORT"]
    return f"host={host} port={port} dbname={environment['KIRA_DATABASE_NAME']} user=postgres"


def connections(environment: dict[str, str], sql: str) -> list[str]:
    """Run `sql` past every wall and return its first column."""
    with psycopg.connect(superuser(environment), autocommit=True) as connection:
        return [str(row[0]) for row in connection.execute(sql.encode())]


@pytest.fixture
def auth(environment: dict[str, str], tmp_path: Path) -> Iterator[Function]:
    with function("auth", tmp_path, environment) as running:
        yield running


@pytest.fixture
def chat(auth: Function, environment: dict[str, str], tmp_path: Path) -> Iterator[Function]:
    """The function `chat`, called by a user."""
    entered = auth.call("POST", "/api/auth/sign-up", FORM)
    assert entered.status == 201, entered.body
    with function("chat", tmp_path, environment) as running:
        running.token = entered.json["access_token"]
        yield running


def begin(chat: Function) -> str:
    """Begin a conversation and return its id."""
    made = chat.call("POST", "/api/conversations", {})
    assert made.status == 201, made.body
    return str(made.json["id"])


def test_a_user_signs_up_asks_and_cancels(chat: Function, environment: dict[str, str]) -> None:
    conversation_id = begin(chat)
    asked = chat.call("POST", f"/api/conversations/{conversation_id}/messages", {"content": WRITTEN})
    assert asked.status == 202, asked.body
    run_id = asked.json["run"]["id"]
    assert chat.call("GET", f"/api/runs/{run_id}").json["state"] == "queued"
    assert asked.json["run"]["model"] == environment["KIRA_MODEL"]
    assert chat.call("POST", f"/api/runs/{run_id}/cancel").json["run"]["state"] == "cancelled"
    said = connections(environment, f"SELECT kind FROM kira.run_events WHERE run_id = '{run_id}' ORDER BY number")
    assert said == ["queued", "cancelled"], "what a run says is on the wire before the function is frozen"


def test_the_cookie_is_kept_by_browsers_only_and_secure(auth: Function) -> None:
    (cookie,) = auth.call("POST", "/api/auth/sign-up", FORM).cookies
    for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/api/auth"):
        assert part in cookie
    refreshed = auth.invoke(http_event("POST", "/api/auth/refresh") | {"cookies": [cookie.partition(";")[0]]})
    assert refreshed["statusCode"] == 200


def test_invocations_share_one_loop_and_one_pool(chat: Function, environment: dict[str, str]) -> None:
    who = f"SELECT pid FROM pg_stat_activity WHERE application_name = 'kira chat {chat.process.pid}'"
    begin(chat)
    first = connections(environment, who)
    for _ in range(5):
        assert chat.call("GET", "/api/conversations").status == 200
    assert connections(environment, who) == first
    assert len(first) == 1


def test_a_function_that_was_frozen_goes_on(chat: Function, environment: dict[str, str]) -> None:
    begin(chat)
    os.kill(chat.process.pid, signal.SIGSTOP)
    ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'kira chat %'"
    assert connections(environment, ended) == ["True"]
    os.kill(chat.process.pid, signal.SIGCONT)
    assert chat.call("GET", "/api/conversations").status == 200


def test_whatever_is_wrong_is_told_as_at_home(chat: Function, auth: Function) -> None:
    unknown = chat.call("GET", f"/api/conversations/{new_id()}")
    assert unknown.status == 404
    for answer in (
        chat.call("GET", "/api/conversations/1"),
        chat.call("GET", "/api/nothing"),
        auth.call("GET", "/api/conversations"),
        auth.call("GET", "/api/../etc/passwd"),
    ):
        assert (answer.status, answer.body) == (404, unknown.body)
    large = b" " * (BODY_BYTES_MAX + 1)
    assert chat.call("POST", "/api/conversations", large).json["error"]["code"] == "TOO_LARGE"
    lied = chat.call("POST", "/api/conversations", large, content_length="10")
    assert lied.json["error"]["code"] == "TOO_LARGE"
    assert chat.call("PUT", "/api/conversations").json["error"]["code"] == "METHOD_NOT_ALLOWED"
    assert chat.call("POST", "/api/conversations", b"{").json["error"]["code"] == "BAD_REQUEST"
    chat.token = "forged"
    refused = chat.call("GET", "/api/conversations")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")


def test_it_says_what_it_does_and_never_what_was_written(chat: Function) -> None:
    conversation_id = begin(chat)
    asked = chat.call("POST", f"/api/conversations/{conversation_id}/messages", {"content": WRITTEN})
    chat.call("GET", f"/api/runs/{asked.json['run']['id']}")
    chat.call("GET", f"/api/search?q={WRITTEN.split()[1]}")
    chat.call("GET", "/api/secret-of-alice@example.org")
    lines = chat.lines()
    told = [line for line in lines if line.get("message") == "answered"]
    assert [line["request_id"] for line in told] == [f"call-{number}" for number in range(1, 6)]
    assert told[2]["run_id"] == asked.json["run"]["id"]
    assert told[2]["route"] == "/api/runs/{run_id}"
    assert all(line["user_id"] == told[0]["user_id"] for line in told[:4])
    assert "user_id" not in told[4], "who asks for nothing is nobody"
    metrics = [line for line in lines if "_aws" in line]
    assert sum(line["Answers"][0] for line in metrics) == 5
    assert metrics[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Kira"
    for secret in ("Alice", "wrote", "example.org", str(chat.token)):
        assert secret not in chat.log.read_text()


def attempt(auth: Function, **headers: str) -> Answer:
    return auth.call("POST", "/api/auth/sign-in", {"email": f"{new_id()}@example.org", "password": "wrong"}, **headers)


def test_only_cloudfront_says_who_asks(auth: Function, environment: dict[str, str], tmp_path: Path) -> None:
    """Whoever calls past CloudFront is refused; who comes through it counts by the address that it tells."""
    auth.call("POST", "/api/auth/sign-up", FORM)
    secret = "what CloudFront knows and nobody else"
    with function("auth", tmp_path, environment | origin(environment, secret)) as guarded:
        for header in ({}, {"x_kira_origin": "guessed"}, {"x_kira_origin": ""}):
            refused = attempt(guarded, cloudfront_viewer_address="198.51.100.9:4711", **header)
            assert (refused.status, refused.json["error"]["code"]) == (403, "FORBIDDEN")
        assert guarded.call("GET", "/api/health").status == 200, "that it answers is no secret"
        for _ in range(SIGN_IN_PER_ADDRESS.count):
            assert attempt(guarded, cloudfront_viewer_address="nonsense", x_kira_origin=secret).status == 401
        for viewer in ("198.51.100.99:4711", "[2001:db8::7]:4711", "2001:db8:1::7:4711"):
            answer = attempt(guarded, cloudfront_viewer_address=viewer, x_kira_origin=secret)
            assert answer.status == 401, "through CloudFront everybody counts for themselves"
        broken = attempt(guarded, cloudfront_viewer_address="nonsense", x_kira_origin=secret)
        assert broken.status == 429, "what is no address counts for the connection"


def origin(environment: dict[str, str], secret: str) -> dict[str, str]:
    return {"KIRA_ORIGIN_SECRET": Aws(environment["AWS_ENDPOINT_URL"]).secret(secret)}


def test_an_invitation_is_mailed_with_the_address_that_people_know(
    aws: Aws, environment: dict[str, str], tmp_path: Path
) -> None:
    secret = "what CloudFront knows"
    aws.client("sesv2").create_email_identity(EmailIdentity="kira@example.org")
    given = environment | origin(environment, secret) | {"KIRA_MAIL_FROM": "kira@example.org"}
    with function("auth", tmp_path, given) as auth:
        through = {"x_kira_origin": secret, "x_forwarded_host": "kira.example.org"}
        auth.token = auth.call("POST", "/api/auth/sign-up", FORM, **through).json["access_token"]
        made = auth.call("POST", "/api/auth/invitations", {"email": "bob@example.org"}, **through)
        assert made.json["url"].startswith("https://kira.example.org/?invitation=")
        assert "could not be mailed" not in auth.log.read_text()
        assert auth.call("POST", "/api/auth/invitations", {}, x_forwarded_host="evil.example.org").status == 403


def test_it_answers_before_its_time_is_over(environment: dict[str, str], tmp_path: Path) -> None:
    nobody = environment | {"KIRA_DATABASE_HOST": "127.0.0.1", "KIRA_DATABASE_PORT": "9"}
    with function("auth", tmp_path, nobody) as auth:
        auth.seconds = 4
        assert auth.call("GET", "/api/health").status == 200, "health asks no database"
        late = auth.call("GET", "/api/auth/options")
        assert (late.status, late.headers["retry-after"]) == (503, "5")
        assert "waking up" in late.json["error"]["message"]
        assert "content-security-policy" in late.headers
