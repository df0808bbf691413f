"""The shell without a network: the service worker, the manifest, the icons, and the way back."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.chat import Chat
from tests.browser.conftest import Device, signed_in
from tests.browser.rig import Home, Models, home_up
from tests.browser.watch import Watch

PNG = b"\x89PNG\r\n\x1a\n"
SHELL = "async () => { const w = await navigator.serviceWorker.ready; return w.active.state; }"
ABOVE = "([one, other]) => one.getBoundingClientRect().bottom <= other.getBoundingClientRect().top"
CACHED = """async () => {
  const stores = await Promise.all((await caches.keys()).map((key) => caches.open(key)));
  const requests = (await Promise.all(stores.map((store) => store.keys()))).flat();
  return requests.map((request) => new URL(request.url).pathname);
}"""


def test_the_manifest_names_icons_that_load(page: Page, kira: Home) -> None:
    link = page.locator("link[rel=manifest]").get_attribute("href")
    manifest = json.loads(page.request.get(kira.at(str(link))).text())
    assert (manifest["name"], manifest["display"], manifest["start_url"]) == ("Kira", "standalone", "/")
    sizes = {icon["sizes"]: icon["src"] for icon in manifest["icons"]}
    for side in (192, 512):
        body = page.request.get(kira.at(sizes[f"{side}x{side}"])).body()
        assert body.startswith(PNG)
        assert struct.unpack(">II", body[16:24]) == (side, side)


def test_chromium_would_install_it(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in errors} <= {"in-incognito"}  # as every profile of a test is


def test_the_shell_opens_without_a_network_and_comes_back(device: Device, kira: Home, watch: Watch) -> None:
    page = signed_in(device(service_workers="allow"), kira)
    chat = Chat(page)
    chat.say("remembered by Kira")
    page.evaluate(SHELL)
    cached = page.evaluate(CACHED)
    assert "/" in cached
    assert not [path for path in cached if path.startswith("/api/")]
    watch.is_offline = True
    page.context.set_offline(True)
    banner = page.get_by_text("Kira cannot be reached. What you see may be old")
    expect(banner).to_be_visible()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(
            ABOVE, arg=[banner.element_handle(), page.get_by_role("heading", level=1).element_handle()]
        )
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("link", name="Widgets", exact=True).click()
    expect(page.get_by_role("heading", name="You are offline.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Kira cannot be reached")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="A desk of your own")).to_be_visible()


def test_what_was_loaded_stays_readable_without_a_network(chat: Chat, watch: Watch, kira: Home) -> None:
    chat.say("still here")
    watch.is_offline = True
    chat.page.context.set_offline(True)
    expect(chat.answers.last).to_contain_text("still here")
    chat.composer.fill("a draft in the tunnel")
    chat.page.context.set_offline(False)
    expect(chat.page.get_by_text("Kira cannot be reached. What you see may be old")).to_have_count(0)
    expect(chat.composer).to_have_value("a draft in the tunnel")


def test_a_kira_that_is_started_again_is_found_again(
    device: Device, models: Models, folder: Path, watch: Watch
) -> None:
    watch.is_offline = True
    with home_up(folder, models) as home:
        port = int(home.address.rpartition(":")[2])
        chat = Chat(signed_in(device(), home))
        chat.say("before the restart")
        models.behave(tokens=60, rate=2)
        chat.ask("in the middle")
        expect(chat.answers.last).to_contain_text("in the middle in")
        home.kill()
        expect(chat.answers.last).to_contain_text("not connected; the answer will appear when Kira is back")
    models.behave(rate=400)
    with home_up(folder, models, port):
        chat.page.evaluate("dispatchEvent(new Event('online'))")
        expect(chat.answers.last.locator(".prose")).to_have_text(" ".join(["in the middle"] * 20), timeout=60_000)
        chat.finish()
        expect(chat.answers).to_have_count(2)
