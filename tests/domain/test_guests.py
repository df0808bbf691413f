"""Where a request comes from, in the words of its user and by what limits count."""

from __future__ import annotations

import pytest

from kira.domain.guests import UNKNOWN_DEVICE, Guest, device_name
from kira.domain.limits import DEVICE_CHARACTERS_MAX

MOZILLA = "Mozilla/5.0"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/26.0 Safari/605.1", "Safari on Mac"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 26_0 like Mac OS X) {WEBKIT} Version/26.0 Safari/604", "Safari on iPhone"),
        (f"{MOZILLA} (iPad; CPU OS 26_0 like Mac OS X) {WEBKIT} CriOS/142.0 Safari/604", "Chrome on iPad"),
        (f"{MOZILLA} (Linux; Android 16; Pixel 9) {WEBKIT} Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        (
            f"{MOZILLA} (Linux; Android 16) {WEBKIT} SamsungBrowser/29.0 Chrome/1 Safari/1",
            "Samsung Internet on Android",
        ),
        (f"{MOZILLA} (X11; CrOS x86_64 16000) {WEBKIT} Chrome/142.0 Safari/537.36", "Chrome on ChromeOS"),
        ("curl/8.16.0", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("Kira in the terminal/0.1.0", "Kira in the terminal"),
        ("", UNKNOWN_DEVICE),
        (None, UNKNOWN_DEVICE),
        ("\x1b[31m", UNKNOWN_DEVICE),
        ("<script>alert(1)</script>", UNKNOWN_DEVICE),
    ],
)
def test_a_device_is_named_as_its_user_would(agent: str | None, name: str) -> None:
    assert device_name(agent) == name


def test_a_device_has_a_short_name() -> None:
    assert len(device_name("x" * 10_000)) == DEVICE_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_addresses_that_one_guest_can_choose_between_count_as_one(one: str, other: str) -> None:
    assert Guest(one).network == Guest(other).network


@pytest.mark.parametrize(
    ("one", "other"), [("192.0.2.7", "192.0.2.8"), ("2001:db8:1:2::1", "2001:db8:1:3::1"), ("testclient", "unknown")]
)
def test_addresses_of_others_count_apart(one: str, other: str) -> None:
    assert Guest(one).network != Guest(other).network


def test_an_address_that_is_none_is_kept_short() -> None:
    assert len(Guest("x" * 10_000).network) == 64
