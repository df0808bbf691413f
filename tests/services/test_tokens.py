"""Tokens: only what this Kira wrote, only as long as it said, and a spent refresh token ends its session."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import jwt
import pytest

from kira.adapters.clock.fixed import FixedClock
from kira.domain.accounts import Role, User
from kira.domain.errors import TokenExpired, Unauthenticated
from kira.domain.ids import new_id
from kira.domain.limits import ACCESS_TOKEN_SECONDS
from kira.domain.moments import SECOND
from kira.services.tokens import AUDIENCE, CLAIMS, Access, Tokens, hash_of, new_secret
from kira.testing.vault import MemoryVault

AYA = User(new_id(), "aya@example.org", "Aya", Role.USER, 0)
SESSION = new_id()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def tokens(clock: FixedClock) -> Tokens:
    return Tokens(MemoryVault(), clock)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def claims(clock: FixedClock, **changes: Any) -> dict[str, Any]:
    now = clock.now() // SECOND
    said = {"sub": AYA.id, "sid": SESSION, "role": "user", "iat": now, "exp": now + 900, "aud": AUDIENCE}
    return {name: value for name, value in (said | changes).items() if value is not None}


def signed(said: dict[str, Any], key: bytes | None = None, algorithm: str = "HS256") -> str:
    return jwt.encode(said, MemoryVault().key("access-token") if key is None else key, algorithm)


def test_an_access_token_says_who_and_for_how_long(tokens: Tokens, clock: FixedClock) -> None:
    token = tokens.access(AYA, SESSION)
    assert tokens.read_access(token) == Access(AYA.id, SESSION, Role.USER)
    assert jwt.decode(token, options={"verify_signature": False}) == claims(clock)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


def test_an_access_token_expires_to_the_second(tokens: Tokens, clock: FixedClock) -> None:
    token = tokens.access(AYA, SESSION)
    clock.advance(ACCESS_TOKEN_SECONDS - 1)
    assert tokens.read_access(token).user_id == AYA.id
    clock.advance(1)
    for _ in range(2):
        with pytest.raises(TokenExpired):
            tokens.read_access(token)


def test_a_token_without_a_signature_is_refused(tokens: Tokens, clock: FixedClock) -> None:
    for name in ["none", "None", "NONE", "nOnE", ""]:
        header = part({"alg": name, "typ": "JWT"})
        for signature in ["", tokens.access(AYA, SESSION).rsplit(".", 1)[1]]:
            with pytest.raises(Unauthenticated):
                tokens.read_access(f"{header}.{part(claims(clock))}.{signature}")
    with pytest.raises(Unauthenticated):
        tokens.read_access(jwt.encode(claims(clock), "", "none"))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_the_right_key_is_refused(tokens: Tokens, clock: FixedClock, algorithm: str) -> None:
    key = MemoryVault().key("access-token")
    digest = {"HS384": "sha384", "HS512": "sha512"}[algorithm]
    said = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims(clock))}"
    signature = base64.urlsafe_b64encode(hmac.digest(key, said.encode(), digest)).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        tokens.read_access(f"{said}.{signature}")


def test_a_forged_token_is_refused(tokens: Tokens, clock: FixedClock) -> None:
    good = tokens.access(AYA, SESSION)
    header, said, signature = good.split(".")
    admin = part(claims(clock, role="admin"))
    last = "A" if signature[10] != "A" else "B"
    forged = [
        f"{header}.{admin}.{signature}",
        f"{header}.{said}.{signature[:10]}{last}{signature[11:]}",
        f"{header}.{said}.",
        f"{header}.{said}",
        good + "x",
        signed(claims(clock), b"x" * 32),
        signed(claims(clock), MemoryVault(b"another master key, also 32 bytes").key("access-token")),
        signed(claims(clock), MemoryVault().key("refresh-token")),
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            tokens.read_access(token)
    assert tokens.read_access(good).role is Role.USER


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_token_that_leaves_a_claim_out_is_refused(tokens: Tokens, clock: FixedClock, claim: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read_access(signed(claims(clock, **{claim: None})))


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "another"},
        {"aud": ["another", "kira "]},
        {"sub": "x"},
        {"sub": AYA.id.upper()},
        {"sid": "x"},
        {"sid": 7},
        {"sid": [SESSION]},
        {"role": "owner"},
        {"role": ["admin"]},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 10.5},
        {"exp": [1]},
    ],
)
def test_a_signed_token_with_a_wrong_claim_is_refused(tokens: Tokens, clock: FixedClock, wrong: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read_access(signed(claims(clock, **wrong)))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b.c", "x" * 100_000, "\u00e9.\u00e9.\u00e9", "Bearer", "\x00"]
)
def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read_access(text)
    with pytest.raises(Unauthenticated):
        tokens.read_refresh(text)
    assert not tokens.is_local(text)


def test_a_refresh_token_is_random_and_kept_as_a_hash(tokens: Tokens) -> None:
    made = [tokens.new_refresh(AYA.id, SESSION) for _ in range(100)]
    assert len({refresh.text for refresh in made}) == 100
    assert all(tokens.read_refresh(refresh.text) == refresh for refresh in made)
    assert all(len(refresh.hash) == 64 and refresh.hash not in refresh.text for refresh in made)
    assert {(refresh.user_id, refresh.session_id) for refresh in made} == {(AYA.id, SESSION)}


def test_a_changed_refresh_token_is_refused(tokens: Tokens) -> None:
    text = tokens.new_refresh(AYA.id, SESSION).text
    for place in range(0, len(text) - 1, 3):
        letter = "A" if text[place] != "A" else "B"
        with pytest.raises(Unauthenticated):
            tokens.read_refresh(text[:place] + letter + text[place + 1 :])
    for changed in [
        text[:-4],
        text + "AAAA",
        Tokens(MemoryVault(b"other" * 8), FixedClock()).new_refresh(AYA.id, SESSION).text,
    ]:
        with pytest.raises(Unauthenticated):
            tokens.read_refresh(changed)


def test_the_token_of_the_printed_address_is_one_and_fits_into_an_address(tokens: Tokens) -> None:
    assert tokens.is_local(tokens.local())
    assert tokens.local() == Tokens(MemoryVault(), FixedClock(1)).local()
    assert tokens.local().replace("-", "").replace("_", "").isalnum()
    for wrong in [tokens.local() + "x", tokens.local()[:-1], tokens.local().swapcase(), "\ud800"]:
        assert not tokens.is_local(wrong)


def test_secrets_are_kept_as_hashes() -> None:
    assert hash_of("secret") == hash_of(b"secret") != hash_of(new_secret())
    assert len(new_secret()) >= 43
