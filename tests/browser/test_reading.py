"""Reading while an answer grows: it follows the end only for who is there, and what a model thinks is apart."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect
from tests.browser.chat import Chat
from tests.browser.conftest import Device, Up, signed_in
from tests.browser.rig import Models

THINKER = {"name": "thinker:1b", "capabilities": ["completion", "thinking"]}
PLACE = "(one) => [one.scrollTop, one.scrollHeight, one.clientHeight]"
LONGER = "([one, length]) => one.textContent.length > length"


def test_who_reads_further_up_is_not_carried_away(chat: Chat, models: Models) -> None:
    page = chat.page
    models.behave(tokens=4000, rate=100)
    chat.ask("many words that fill the page from its top to its very end and further down")
    chip = page.get_by_role("button", name="New text")
    longer(page, chat, 4000)
    at_end(page)
    expect(chip).to_have_count(0)
    messages(page).hover()
    page.mouse.wheel(0, -300)
    expect(chip).to_be_visible()
    top = place(page)[0]
    longer(page, chat, 1000 + len(chat.answers.last.inner_text()))
    assert place(page)[0] == top
    chip.click()
    at_end(page)
    longer(page, chat, 1000 + len(chat.answers.last.inner_text()))
    at_end(page)
    expect(chip).to_have_count(0)
    chat.stop_button.click()
    chat.finish()


def test_what_a_model_thinks_is_folded_away_and_not_its_answer(device: Device, models: Models, own_home: Up) -> None:
    models.behave(models=[THINKER], rate=0.2)
    chat = Chat(signed_in(device(), own_home()))
    chat.ask("say:That is all.")
    thoughts = chat.answers.last.locator("summary")
    thoughts.click()
    expect(chat.answers.last.locator("details p")).to_contain_text("Let")
    models.behave(rate=400)
    chat.finish()
    expect(chat.answers.last.locator(".prose")).to_have_text("That is all.")
    expect(thoughts).to_have_count(0)


def messages(page: Page) -> Locator:
    """What is scrolled."""
    return page.get_by_role("region", name="Messages")


def place(page: Page) -> tuple[int, int, int]:
    """How far it is scrolled, how much there is, and how much is seen."""
    top, height, seen = messages(page).evaluate(PLACE)
    return top, height, seen


def at_end(page: Page) -> None:
    """Return when the end is in sight."""
    page.wait_for_function(
        "(one) => one.scrollHeight - one.scrollTop - one.clientHeight < 48", arg=messages(page).element_handle()
    )


def longer(page: Page, chat: Chat, length: int) -> None:
    """Return when the answer has more characters than `length`."""
    page.wait_for_function(LONGER, arg=[chat.answers.last.element_handle(), length])
