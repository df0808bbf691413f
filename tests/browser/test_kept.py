"""Typed text is never lost: by a reload, a lost network, or a session that ended."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from tests.browser.api import Api
from tests.browser.chat import Chat
from tests.browser.conftest import Device, signed_in
from tests.browser.rig import PASSWORD, Home
from tests.browser.slow import way_to
from tests.browser.watch import Watch

LONGER_THAN_USUAL_MS = 2_000


def test_a_draft_of_each_conversation_survives_a_reload(chat: Chat, kira: Home) -> None:
    chat.say("one conversation")
    chat.composer.fill("unfinished thought")
    place = chat.page.url
    chat.page.goto(kira.at("/"))
    chat.composer.fill("for a new one")
    chat.page.reload()
    expect(chat.composer).to_have_value("for a new one")
    chat.page.goto(place)
    expect(chat.composer).to_have_value("unfinished thought")
    chat.composer.fill("")
    chat.page.reload()
    expect(chat.composer).to_have_value("")


def test_an_edit_survives_a_reload(chat: Chat) -> None:
    chat.say("whatever")
    chat.questions.last.get_by_role("button", name="Edit").click()
    chat.page.get_by_role("textbox", name="Edit your question").fill("half changed")
    chat.page.reload()
    chat.questions.last.get_by_role("button", name="Edit").click()
    expect(chat.page.get_by_role("textbox", name="Edit your question")).to_have_value("half changed")
    chat.button("Cancel").click()


def test_a_message_sent_as_the_session_ended_goes_on_after_the_sign_in(
    device: Device, accounts: Home, watch: Watch
) -> None:
    for path in ("/api/auth/refresh$", "/api/"):
        watch.allow(401, path)
    page = entered(device(), accounts, "grace@example.org")
    chat = Chat(page)
    chat.say("before")
    Api(accounts).sign_in("grace@example.org", PASSWORD).end_other_sessions()
    chat.composer.fill("say:after")
    chat.composer.press("Enter")
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_contain_text("What you typed is still here.")
    expect(dialog.get_by_label("E-mail")).to_have_value("grace@example.org")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_label("Password").press("Enter")
    expect(dialog).to_have_count(0)
    expect(chat.answers).to_have_count(2)
    chat.finish()
    expect(chat.answers.last.locator(".prose")).to_have_text("after")
    expect(chat.composer).to_have_value("")


def test_a_draft_survives_an_ended_session_and_a_reload(device: Device, accounts: Home, watch: Watch) -> None:
    watch.allow(401, "/api/")
    page = entered(device(), accounts, "edsger@example.org")
    chat = Chat(page)
    chat.composer.fill("not lost")
    Api(accounts).sign_in("edsger@example.org", PASSWORD).end_other_sessions()
    page.reload()
    page.get_by_label("E-mail").fill("edsger@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    expect(chat.composer).to_have_value("not lost")


def test_a_page_that_is_left_while_its_session_is_renewed_is_signed_in_when_it_comes_back(
    device: Device, kira: Home
) -> None:
    page = signed_in(device(), kira)
    with way_to(kira.address, "/api/auth/refresh") as way:
        chat = Chat(page)
        for _ in range(2):
            page.goto(way.address)
            expect(chat.composer).to_be_focused()
        way.is_free.clear()
        page.reload()
        way.until_asked(page, 3)
        page.reload()
        page.wait_for_timeout(LONGER_THAN_USUAL_MS)  # as when a database wakes up
        assert way.asked == 3
        way.is_free.set()
        expect(chat.composer).to_be_focused()
        assert way.asked == 4


def test_a_message_sent_without_a_network_arrives_once_when_it_is_back(chat: Chat, watch: Watch) -> None:
    chat.say("first")
    watch.is_offline = True
    chat.page.context.set_offline(True)
    chat.composer.fill("say:from the tunnel")
    chat.composer.press("Enter")
    expect(chat.page.get_by_text("Kira cannot be reached. What you see may be old")).to_be_visible()
    expect(chat.composer).to_have_value("say:from the tunnel")
    chat.page.context.set_offline(False)
    expect(chat.answers).to_have_count(2)
    chat.finish()
    expect(chat.answers.last.locator(".prose")).to_have_text("from the tunnel")
    expect(chat.composer).to_have_value("")


def entered(page: Page, home: Home, email: str) -> Page:
    """Make an account and open Chat with it."""
    page.goto(home.at("/"))
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    page.get_by_role("textbox", name="Message", exact=True).wait_for()
    return page
