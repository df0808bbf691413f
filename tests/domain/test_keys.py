"""Derived keys: the vectors of RFC 5869 (appendix A, SHA-256)."""

from __future__ import annotations

import pytest

from kira.domain.keys import hkdf, key_for

VECTORS = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "".join(f"{byte:02x}" for byte in range(0x50)),
        "".join(f"{byte:02x}" for byte in range(0x60, 0xB0)),
        "".join(f"{byte:02x}" for byte in range(0xB0, 0x100)),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("secret", "salt", "info", "expected"), VECTORS)
def test_a_derived_key_is_the_one_of_the_standard(secret: str, salt: str, info: str, expected: str) -> None:
    wanted = bytes.fromhex(expected)
    derived = hkdf(bytes.fromhex(secret), salt=bytes.fromhex(salt), info=bytes.fromhex(info), length=len(wanted))
    assert derived == wanted


def test_a_purpose_changes_the_whole_key() -> None:
    assert key_for(b"master", "a") != key_for(b"master", "b") != key_for(b"other", "b")
