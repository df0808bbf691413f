"""What an e-mail, a password and a name may be."""

from __future__ import annotations

import pytest

from kira.domain.accounts import checked_name, checked_password, name_of, normal_email, password_bytes
from kira.domain.errors import Invalid


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("aya@example.org", "aya@example.org"),
        ("  Aya@Example.ORG\n", "aya@example.org"),
        ("o'brien+kira@mail.example.org", "o'brien+kira@mail.example.org"),
        ("admin@localhost", "admin@localhost"),
        ("a@b", "a@b"),
        ("jose\u0301@example.org", "jos\u00e9@example.org"),
        ("用户@例子.公司", "用户@例子.公司"),
        ("x" * 64 + "@" + "y" * 189, "x" * 64 + "@" + "y" * 189),
    ],
)
def test_an_email_has_one_form(given: str, normal: str) -> None:
    assert normal_email(given) == normal
    assert normal_email(normal) == normal


@pytest.mark.parametrize(
    "given",
    [
        "", "@", "a@", "@b", "aya", "a@b@c", "a b@c", "a@b c", "a\x00@b", "a@b\x00", "a\n@b", "\ud800@b", "a@\ud800b",
        ".a@b", "a.@b", "a..b@c", "a@b..c", "a@.b", "a@-b", "a@b-", "a@b.", "<a@b>", "a@b,c@d", "a\\@b", "a@_b",
        "x" * 65 + "@b", "x" * 64 + "@" + "y" * 190, "a@b" + "\u202e" + "c", "a@" + "b." * 5000,
    ],
)  # fmt: skip
def test_what_is_no_email_is_refused_with_its_field(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        normal_email(given)
    assert [field["path"] for field in refused.value.details["fields"]] == ["email"]  # type: ignore[attr-defined]  # details are any objects


@pytest.mark.parametrize("given", ["12345678", " " * 8, "p" * 256, "пароль-ключ", "\x00" * 8])
def test_only_the_length_of_a_password_counts(given: str) -> None:
    assert checked_password(given) == given


@pytest.mark.parametrize("given", ["", "1234567", "p" * 257, "password\ud800"])
def test_a_password_that_is_too_short_or_too_long_or_no_text_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_password(given)
    assert given == "" or given not in refused.value.message


def test_a_password_is_the_same_however_its_accents_are_composed() -> None:
    assert password_bytes("jose\u0301-secret") == password_bytes("jos\u00e9-secret")
    assert password_bytes("Secret") != password_bytes("secret")


def test_a_name_is_one_line() -> None:
    assert checked_name("  Aya\n\tNakamura ") == "Aya Nakamura"
    for given in ["", " \n", "x" * 101, "a\ud800", "a\x00"]:
        with pytest.raises(Invalid):
            checked_name(given)


def test_a_name_can_be_taken_from_an_email() -> None:
    assert name_of("aya@example.org") == "aya"
