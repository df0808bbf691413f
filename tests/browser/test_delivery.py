"""How the dashboard is delivered: what is kept, how it is packed, what it weighs, and the policy it lives under."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response, expect
from tests.browser.conftest import Device
from tests.browser.rig import Home
from tests.browser.watch import Watch

WEIGHT_MAX = 80 * 1024
REQUESTS_MAX = 12
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types dompurify svelte-trusted-html kira kira-sw"
)


class Load:
    """What one page asked for and got over the wire, from an empty cache."""

    def __init__(self, page: Page) -> None:
        """Count from now on."""
        self.asked: list[str] = []
        self.bytes = 0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", lambda event: self.asked.append(event["request"]["url"]))
        session.on("Network.loadingFinished", lambda event: self._add(event["encodedDataLength"]))

    def _add(self, size: float) -> None:
        self.bytes += int(size)


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_first_pages_are_light(device: Device, kira: Home, accounts: Home, watch: Watch, encoding: str) -> None:
    watch.allow(401, "/api/auth/refresh$")
    for opened, landmark in ((at_the_door_of(accounts), "Sign in"), (kira.open, "What is on your mind?")):
        page = device()
        load = Load(page)
        if encoding == "gzip":
            page.context.set_extra_http_headers({"accept-encoding": "gzip"})
        opened(page)
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("heading", name=landmark)).to_be_visible()
        assert load.bytes <= WEIGHT_MAX, f"{landmark}: {load.bytes} bytes"
        assert len(load.asked) <= REQUESTS_MAX, load.asked


def test_hashed_files_are_kept_and_the_page_never(page: Page, kira: Home) -> None:
    found: list[Response] = []
    page.on("response", lambda response: found.extend([response]))
    page.goto(kira.at("/settings"), wait_until="networkidle")
    hashed = [one for one in found if "/assets/" in one.url]
    assert len(hashed) >= 4
    for response in hashed:
        assert re.search(r"/assets/[\w.-]+-[\w-]{8}\.(js|css)$", response.url)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    for path in ("/", "/settings", "/c/anything"):
        assert page.request.get(kira.at(path)).headers["cache-control"] == "no-cache"
    assert page.request.get(kira.at("/sw.js")).headers["cache-control"] == "no-cache"


def test_files_come_packed_as_the_browser_can_take_them(page: Page, kira: Home) -> None:
    script = page.locator("script[type=module]").get_attribute("src")
    sizes = {}
    for accepted in ("br", "gzip", "identity"):
        response = page.request.get(kira.at(str(script)), headers={"accept-encoding": accepted})
        assert response.headers.get("content-encoding", "identity") == accepted
        assert "accept-encoding" in response.headers["vary"].lower()
        sizes[accepted] = int(response.headers["content-length"])
    assert sizes["br"] < sizes["gzip"] < sizes["identity"] / 2


def test_the_policy_is_strict_on_every_page(page: Page, kira: Home) -> None:
    for path in ("/", "/settings", "/sw.js", str(page.locator("script[type=module]").get_attribute("src"))):
        headers = page.request.get(kira.at(path)).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] in ("no-referrer", "same-origin")


def test_the_policy_stops_a_script_that_got_in(page: Page, watch: Watch) -> None:
    attack = "const one = document.createElement('script'); one.textContent = 'window.pwned = 1'"
    with page.expect_console_message(lambda message: "trusted" in message.text.lower()):
        refused = page.evaluate(f"() => {{ try {{ {attack}; return ''; }} catch (error) {{ return error.name; }} }}")
    assert refused == "TypeError"
    assert page.evaluate("() => window.pwned ?? null") is None
    assert [problem for problem in watch.problems if "trusted" in problem.lower() or "require-trusted" in problem]
    watch.problems.clear()


def test_entry_script_and_style_carry_their_checksum(page: Page) -> None:
    for selector in ("script[type=module]", "link[rel=stylesheet]"):
        assert str(page.locator(selector).first.get_attribute("integrity")).startswith("sha384-")


def at_the_door_of(home: Home) -> Callable[[Page], object]:
    """Open the first page as nobody."""
    return lambda page: page.goto(home.at("/"))
