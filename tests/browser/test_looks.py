"""Every state of every page, looked at by axe and kept as a picture: empty, loading, full, busy, error, offline."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.api import Api
from tests.browser.chat import Chat
from tests.browser.conftest import Device, Up, signed_in
from tests.browser.content import ANSWER, QUESTION, TITLES, asked_plainly, fill
from tests.browser.looks import look
from tests.browser.rig import PASSWORD, Home, Models, home_up, models_up
from tests.browser.watch import Watch

PICTURE = Path(__file__).parents[2] / "docs" / "screenshot.png"
PICTURE_BYTES_MAX = 200_000
BROKEN = '{"error": {"code": "INTERNAL", "message": "Something in Kira broke. Its log says more."}}'


@pytest.fixture(scope="module")
def full(server: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A Kira that was used for a while."""
    with home_up(tmp_path_factory.mktemp("full"), server) as home:
        fill(Api(home).enter())
        yield home


def test_sign_in(device: Device, kira: Home, watch: Watch) -> None:
    watch.allow(401, "/api/auth/")
    page = device()
    page.goto(kira.at("/?token=old"))
    expect(page.get_by_role("textbox", name="Printed address or token")).to_be_visible()
    look(page, "sign-in-link")
    page.get_by_role("textbox", name="Printed address or token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is not the token")).to_be_visible()
    look(page, "sign-in-link-error")


def test_sign_in_with_accounts(device: Device, accounts: Home, watch: Watch) -> None:
    watch.allow(401, "/api/auth/")
    page = device()
    page.goto(accounts.at("/"))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    look(page, "sign-in-account")
    page.get_by_label("E-mail").fill("ada@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "sign-in-account-error")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Create your account")).to_be_visible()
    look(page, "sign-in-create")


def test_chat_empty(page: Page) -> None:
    look(page, "chat-empty")


def test_chat_full(device: Device, full: Home) -> None:
    page = device()
    asked_plainly(page)
    signed_in(page, full)
    opened(page, TITLES[0])
    expect(page.locator(".hljs-keyword").first).to_be_visible()
    page.mouse.move(700, 300)
    look(page, "chat-full")
    if os.environ.get("KIRA_SHOTS") == "docs":
        page.screenshot(path=PICTURE)
        assert PICTURE.stat().st_size <= PICTURE_BYTES_MAX
    Chat(page).answers.first.get_by_role("button", name="More").click()
    expect(page.get_by_role("menu")).to_be_visible()
    look(page, "chat-menu", looks=("light", "dark"))
    page.get_by_role("menuitemradio", name="Details").click()
    expect(Chat(page).answers.first).to_contain_text("answered in")
    look(page, "chat-details")


def test_chat_in_work(device: Device, full: Home) -> None:
    page = signed_in(device(), full)
    chat = Chat(page)
    asked_plainly(page)
    opened(page, TITLES[1])
    chat.questions.last.get_by_role("button", name="Edit").click()
    look(page, "chat-edit")
    chat.button("Cancel").click()
    page.get_by_role("combobox", name="Model").click()
    expect(page.get_by_role("option").first).to_be_visible()
    look(page, "chat-models")
    page.keyboard.press("Escape")
    chat.options()
    chat.item("Delete").click()
    expect(page.get_by_role("group", name=re.compile("^Delete “"))).to_be_visible()
    look(page, "chat-delete", looks=("light", "dark"))
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("searchbox").fill("credit")
    expect(page.locator("aside .excerpt").first).to_be_visible()
    look(page, "chat-search", looks=("light", "dark"))


def test_chat_list_on_a_phone(device: Device, full: Home) -> None:
    page = signed_in(device(viewport={"width": 390, "height": 844}), full, "/chats")
    expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()
    look(page, "chat-list", looks=("phone",))


def test_chat_busy(page: Page, models: Models) -> None:
    chat = Chat(page)
    models.behave(rate=40)
    chat.ask(f"say:{ANSWER * 4}")
    expect(page.get_by_text(re.compile("writing, about"))).to_be_visible()
    look(page, "chat-busy")
    chat.stop_button.click()
    chat.finish()
    look(page, "chat-stopped", looks=("light",))


def test_chat_waiting(page: Page, models: Models) -> None:
    models.behave(first=60.0)
    chat = Chat(page)
    chat.ask(QUESTION)
    expect(chat.answers.last.locator("p.state")).not_to_be_empty()
    look(page, "chat-waiting")
    chat.stop_button.click()
    chat.finish()


def test_chat_in_line(device: Device, tmp_path: Path) -> None:
    settings = {"KIRA_SLOTS": "1", "OLLAMA_NUM_PARALLEL": "1"}
    with models_up(slots=1) as narrow, home_up(tmp_path, narrow, 0, **settings) as home:
        narrow.behave(tokens=4000, rate=20)
        page = signed_in(device(), home)
        first, second = Chat(page), Chat(page.context.new_page())
        first.ask("Name every river of Europe.")
        expect(first.answers.last).to_contain_text("Name every")
        second.page.goto(home.at("/"))
        second.ask(QUESTION)
        expect(second.answers.last).to_contain_text("next in line, about 8 s")
        look(second.page, "chat-in-line")
        second.page.goto(home.at("/widgets"))
        second.page.get_by_role("button", name="Add widget").click()
        second.page.get_by_role("menuitem", name="Queue").click()
        queue = second.page.get_by_role("article", name="Queue")
        expect(queue).to_contain_text("1 of 1 slot busy")
        expect(queue).to_contain_text("1 waiting, all yours, about 16 s for a new question")
        look(second.page, "widgets-queue-busy")
        page.context.close()


def test_chat_errors(page: Page, models: Models, watch: Watch, kira: Home) -> None:
    chat = Chat(page)
    models.fail("memory")
    chat.ask(QUESTION)
    expect(chat.answers.last).to_contain_text("failed:")
    look(page, "chat-failed")
    models.calm()
    watch.allow(500, "/api/")
    watch.allow(404, "/api/conversations/")
    broken(page, "**/api/conversations?*")
    broken(page, "**/messages?*")
    page.reload()
    expect(page.get_by_text("This conversation could not be loaded.")).to_be_visible()
    look(page, "chat-error")
    page.unroute_all()
    page.goto(kira.at("/c/01998f00-0000-7000-8000-000000000000"))
    expect(page.get_by_role("heading", name="This conversation is not here").first).to_be_visible()
    look(page, "chat-missing", looks=("light", "phone"))


def test_chat_loading_and_offline(device: Device, full: Home, watch: Watch) -> None:
    page = signed_in(device(), full)
    asked_plainly(page)
    opened(page, TITLES[0])
    never(page, "**/api/conversations?*")
    never(page, "**/messages?*")
    page.reload()
    expect(page.get_by_label("Loading the conversation").locator("span").first).to_be_visible()
    look(page, "chat-loading")
    place = page.url
    unroute(page)
    asked_plainly(page)
    page.goto(place)
    expect(Chat(page).answers.last).to_be_visible()
    watch.is_offline = True
    page.context.set_offline(True)
    expect(page.get_by_text("What you see may be old")).to_be_visible()
    look(page, "chat-offline")


def test_chat_without_a_model(device: Device, models: Models, own_home: Up) -> None:
    models.behave(models=[])
    home = own_home()
    page = signed_in(device(), home)
    expect(page.get_by_role("combobox", name="Model")).to_be_visible()
    look(page, "chat-no-model")


def test_an_ended_session(page: Page, kira: Home, watch: Watch) -> None:
    watch.allow(401, "/api/")
    Chat(page).say("before it ended")
    Api(kira).enter().end_other_sessions()
    Chat(page).composer.fill("and after")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    look(page, "sign-in-again")


def test_widgets(device: Device, full: Home, kira: Home, watch: Watch) -> None:
    page = signed_in(device(), kira, "/widgets")
    expect(page.get_by_role("heading", name="A desk of your own")).to_be_visible()
    look(page, "widgets-empty")
    page = signed_in(device(), full, "/widgets")
    expect(page.get_by_role("img", name=re.compile("Bar chart"))).to_be_visible()
    expect(page.get_by_text("Nobody waits.")).to_be_visible()
    look(page, "widgets-full")
    page.get_by_role("button", name="Show as table").click()
    look(page, "widgets-table", looks=("light",))
    page.get_by_role("button", name="Add widget").click()
    look(page, "widgets-add")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Move or resize Queue").press("Enter")
    look(page, "widgets-held", looks=("light", "dark"))
    page.keyboard.press("Escape")
    for item, dialog in (("Size", "Size of Clock"), ("Time zone", "Time zone of Clock")):
        page.get_by_role("button", name="More for Clock").click()
        page.get_by_role("menuitem", name=item).click()
        expect(page.get_by_role("dialog", name=dialog)).to_be_visible()
        look(page, f"widgets-{item.lower().replace(' ', '-')}")
        page.keyboard.press("Escape")


def test_widgets_in_trouble(device: Device, full: Home, watch: Watch) -> None:
    watch.allow(500, "/api/")
    page = signed_in(device(), full)
    never(page, "**/api/widgets")
    page.goto(full.at("/widgets"))
    expect(page.get_by_role("main").get_by_label("Loading").first.locator("span").first).to_be_visible()
    look(page, "widgets-loading")
    unroute(page)
    broken(page, "**/api/widgets")
    page.goto(full.at("/widgets"))
    expect(page.get_by_role("heading", name="Your widgets could not be loaded.")).to_be_visible()
    look(page, "widgets-error")
    page.unroute_all()
    page.reload()
    expect(page.get_by_role("img", name=re.compile("Bar chart"))).to_be_visible()
    broken(page, "**/api/widgets")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Your widgets could not be loaded.")
    look(page, "widgets-error-kept")
    page.unroute_all()
    never(page, "**/api/widgets/*/refresh")
    page.reload()
    page.get_by_role("button", name="Refresh Recent").click()
    expect(page.get_by_role("button", name="Refresh Recent")).to_have_attribute("aria-busy", "true")
    look(page, "widgets-busy", looks=("light",))
    page.unroute_all(behavior="ignoreErrors")
    watch.is_offline = True
    page.context.set_offline(True)
    expect(page.get_by_text("Offline. Last heard")).to_be_visible()
    look(page, "widgets-offline")


def test_settings(device: Device, full: Home, watch: Watch) -> None:
    watch.allow(500, "/api/")
    page = signed_in(device(), full, "/settings")
    expect(page.get_by_text("This one")).to_be_visible()
    look(page, "settings-full")
    page.get_by_role("region", name="Sessions").scroll_into_view_if_needed()
    look(page, "settings-end")
    page.get_by_role("region", name="System prompt").get_by_role("textbox").fill("Answer briefly.")
    page.get_by_role("combobox", name="Default model").click()
    look(page, "settings-changed", looks=("light", "dark"))
    page.keyboard.press("Escape")
    never(page, "**/api/settings")
    never(page, "**/api/models")
    page.reload()
    prompt = page.get_by_role("region", name="System prompt")
    expect(prompt.get_by_label("Loading").locator("span").first).to_be_visible()
    look(page, "settings-loading", looks=("light",))
    page.unroute_all(behavior="ignoreErrors")
    broken(page, "**/api/settings")
    broken(page, "**/api/auth/sessions")
    page.reload()
    expect(page.get_by_text("This part could not be loaded.").first).to_be_visible()
    look(page, "settings-error")


def test_settings_with_accounts(device: Device, accounts: Home, watch: Watch) -> None:
    watch.allow(401, "/api/auth/refresh$")
    page = device()
    page.goto(accounts.at("/"))
    Api(accounts).call("POST", "/api/auth/sign-up", {"email": "joan@example.org", "password": PASSWORD})
    page.get_by_label("E-mail").fill("joan@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Message", exact=True).wait_for()
    page.goto(accounts.at("/settings"))
    expect(page.get_by_label("Current password")).to_be_visible()
    look(page, "settings-account", looks=("light", "phone"))


def test_palette_shortcuts_and_nothing_there(device: Device, full: Home) -> None:
    page = signed_in(device(), full)
    opened(page, TITLES[2])
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").nth(8)).to_be_visible()
    look(page, "palette")
    page.keyboard.press("Escape")
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    look(page, "shortcuts")
    page.keyboard.press("Escape")
    page.goto(full.at("/nowhere"))
    expect(page.get_by_role("heading", name="There is nothing at this address")).to_be_visible()
    look(page, "not-found", looks=("light", "phone"))


def opened(page: Page, title: str) -> None:
    """Open a conversation from the list."""
    page.get_by_role("complementary").get_by_role("link", name=title).click()
    expect(Chat(page).answers.last).to_be_visible()


def never(page: Page, pattern: str) -> None:
    """Let requests wait without an answer."""
    page.route(pattern, lambda route: None)


def unroute(page: Page) -> None:
    """Leave the page, so that no request that waits goes on, and let all following ones through."""
    page.goto("about:blank")
    page.unroute_all(behavior="ignoreErrors")


def broken(page: Page, pattern: str) -> None:
    """Let requests be answered by a Kira that broke."""

    def answer(route: Route) -> None:
        route.fulfill(status=500, body=BROKEN, content_type="application/json")

    page.route(pattern, answer)
