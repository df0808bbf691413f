"""Keys alone are enough: the palette, shortcuts, sending, menus, dialogs; and nothing moves under reduced motion."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import Page, expect
from tests.browser.chat import Chat
from tests.browser.rig import Home, Models

FOCUS = """() => {
  const one = document.activeElement;
  return one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent.trim();
}"""
RING = "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"
TABS_MAX = 60


def test_a_message_is_sent_read_copied_and_answered_again_by_keys_alone(chat: Chat) -> None:
    page, keys = chat.page, chat.page.keyboard
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(chat.composer).to_be_focused()
    keys.type("say:by keys")
    keys.press("Enter")
    page.wait_for_url(re.compile("/c/"))
    expect(chat.answers).to_have_count(1)
    chat.finish()
    expect(chat.composer).to_be_focused()
    reach(page, "More", backwards=True)
    keys.press("Enter")
    expect(page.get_by_role("menuitemradio", name="Details")).to_be_focused()
    keys.press("Enter")
    expect(chat.answers.last).to_contain_text("test:latest")
    expect(chat.answers.last.get_by_role("button", name="More")).to_be_focused()
    reach(page, "Answer again", backwards=True)
    keys.press("Enter")
    expect(chat.answers.last.get_by_role("group", name="Versions")).to_contain_text("2 / 2")
    chat.finish()
    reach(page, "Copy", backwards=True)
    keys.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") in ("by keys", "say:by keys")


def test_every_stop_of_the_tab_key_is_seen(chat: Chat) -> None:
    chat.say("a [link](https://example.org) and\n\n```python\nx = 1\n```")
    page = chat.page
    page.get_by_role("link", name="Skip to the page").focus()
    seen = []
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement === document.body"):
            break
        style, width = page.evaluate(RING)
        own = page.evaluate("() => !!document.activeElement.closest('form, label')")  # their box carries the ring
        seen.append(focused(page))
        assert own or (style, width) == ("solid", "2px"), focused(page)
    assert {"Chat", "New conversation", "Edit", "link", "Copy code", "Wrap lines", "Message", "Model"} <= set(seen)


def test_the_first_tab_skips_to_the_page(chat: Chat, kira: Home) -> None:
    page = chat.page
    page.goto(kira.at("/settings"))
    page.get_by_role("heading", name="Settings").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="Profile").get_by_label("Name")).to_be_focused()


def test_shortcuts_go_everywhere(page: Page, kira: Home) -> None:
    page.evaluate("() => document.activeElement.blur()")
    go(page, "gw", kira.at("/widgets"))
    go(page, "gs", kira.at("/settings"))
    expect(page.get_by_role("heading", level=1, name="Settings")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Escape")
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("n")
    expect(Chat(page).composer).to_be_focused()
    page.keyboard.type("gw?n/")
    expect(Chat(page).composer).to_have_value("gw?n/")
    expect(page).to_have_url(kira.at("/"))


def test_question_mark_lists_the_shortcuts_and_escape_closes_them(page: Page) -> None:
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Shortcuts")
    expect(dialog).to_contain_text("New conversation")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_single_letters_can_be_turned_off(page: Page, kira: Home) -> None:
    page.goto(kira.at("/settings"))
    page.get_by_label(re.compile("Shortcuts of single letters")).uncheck()
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Commands")
    expect(palette).to_be_visible()
    expect(page.get_by_role("dialog", name="Shortcuts")).to_have_count(0)
    page.keyboard.press("Escape")


def test_the_palette_finds_commands_and_conversations(chat: Chat, kira: Home) -> None:
    chat.say("The wombat has cubic droppings.")
    place = chat.page.url
    page, keys = chat.page, chat.page.keyboard
    palette(page)
    keys.type("widg")
    keys.press("Enter")
    expect(page).to_have_url(kira.at("/widgets"))
    palette(page)
    keys.type("wombat")
    expect(page.get_by_role("option").first).to_be_visible()
    keys.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(place)))
    palette(page)
    keys.type("dark th")
    keys.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    palette(page)
    keys.type("theme of the sys")
    keys.press("Enter")
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")


def test_a_slash_in_the_empty_field_opens_commands(chat: Chat) -> None:
    page, keys = chat.page, chat.page.keyboard
    commands = page.get_by_role("combobox", name="Commands")
    keys.press("/")
    expect(commands).to_be_focused()
    keys.press("Escape")
    expect(chat.composer).to_be_focused()
    write(chat, "etc/ holds settings, and / is the root", behind="/")
    expect(commands).to_have_count(0)
    chat.composer.fill("")
    keys.press("/")
    expect(commands).to_be_focused()
    keys.type("light th")
    keys.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(chat.composer).to_have_value("")
    expect(chat.composer).to_be_focused()


def test_a_closed_dialog_gives_the_focus_back(chat: Chat) -> None:
    expect(chat.composer).to_be_focused()
    palette(chat.page)
    chat.page.keyboard.press("Escape")
    expect(chat.composer).to_be_focused()
    write(chat, "and one writes on")


def test_nothing_moves_under_reduced_motion(chat: Chat, models: Models) -> None:
    page = chat.page
    page.emulate_media(reduced_motion="reduce")
    models.behave(tokens=4000, rate=80)
    chat.ask("calm please")
    expect(chat.answers.last).to_contain_text("calm please calm")
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Commands")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("Escape")
    slow = "() => [...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionProperty !== 'none')"
    moving = f"() => ({slow})().filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    assert page.evaluate(moving) == 0
    chat.stop_button.click()
    chat.finish()


def go(page: Page, keys: str, address: str) -> None:
    """Press two keys, again when the machine stalled so long between them that they were two."""
    for _ in range(3):
        page.keyboard.type(keys)
        with suppress(AssertionError):
            return expect(page).to_have_url(address, timeout=5_000)
    raise AssertionError(f"{keys} does not lead to {address}")


def palette(page: Page) -> None:
    """Open the command palette."""
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Commands")).to_be_focused()


def write(chat: Chat, text: str, behind: str = "") -> None:
    """Write where the focus is, from the frame on in which the browser has given it back whole."""
    chat.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    chat.page.keyboard.type(text)
    expect(chat.composer).to_have_value(behind + text)


def focused(page: Page) -> str:
    """Name what has the focus."""
    return str(page.evaluate(FOCUS))


def reach(page: Page, name: str, *, backwards: bool = False) -> None:
    """Press Tab until the control called `name` has the focus."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if focused(page) == name:
            return
    raise AssertionError(f"{name} is not reached by Tab")
