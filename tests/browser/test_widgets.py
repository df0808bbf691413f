"""Widgets: each kind, arranging by keyboard and pointer, notes, refreshing, removing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, Page, Request, expect
from tests.browser.api import Api
from tests.browser.chat import Chat
from tests.browser.conftest import Device, Up, signed_in
from tests.browser.rig import Home, Models
from tests.browser.watch import Watch

KINDS = ("Clock", "Note", "Usage", "Queue", "Recent")


@pytest.fixture
def board(page: Page, kira: Home) -> Iterator[Page]:
    """The Widgets page without a widget."""
    api = Api(kira).enter()
    for widget in api.call("GET", "/api/widgets")["items"]:
        api.call("DELETE", f"/api/widgets/{widget['id']}")
    page.get_by_role("link", name="Widgets", exact=True).click()
    expect(page.get_by_role("heading", name="A desk of your own")).to_be_visible()
    yield page


def test_each_kind_is_added_and_shows_something_true(board: Page) -> None:
    for kind in KINDS:
        add(board, kind)
        expect(card(board, kind)).to_be_visible()
    expect(card(board, "Clock")).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(card(board, "Usage")).to_contain_text(re.compile(r"Nothing was used|tokens? in 14 days"))
    expect(card(board, "Queue")).to_contain_text(re.compile(r"\d of \d slots? busy"))
    expect(card(board, "Queue")).to_contain_text("Nobody waits.")
    board.reload()
    expect(board.get_by_role("article")).to_have_count(len(KINDS))


def test_usage_and_recent_follow_a_conversation(board: Page, kira: Home) -> None:
    board.get_by_role("link", name="Chat", exact=True).click()
    chat = Chat(board)
    chat.say("counted")
    place = board.url.removeprefix(kira.address)
    board.get_by_role("link", name="Widgets", exact=True).click()
    add(board, "Usage")
    usage = card(board, "Usage")
    expect(usage.get_by_role("img")).to_have_accessible_name(re.compile(r"Bar chart: \d+ tokens in 14 days"))
    usage.get_by_role("button", name="Show as table").click()
    expect(usage.get_by_role("table")).to_be_visible()
    add(board, "Recent")
    card(board, "Recent").locator(f"a[href='{place}']").click()
    expect(chat.answers.last).to_contain_text("counted")


def test_a_widget_moves_and_grows_by_keyboard_and_stays_so(board: Page) -> None:
    for kind in ("Clock", "Note", "Queue"):
        add(board, kind)
    in_order(board, ["Clock", "Note", "Queue"])
    grip = card(board, "Queue").get_by_role("button", name="Move or resize Queue")
    grip.focus()
    with saved(board):
        board.keyboard.press("Enter")
        expect(said(board)).to_contain_text("Queue taken, place 3 of 3.")
        board.keyboard.press("Home")
        expect(said(board)).to_contain_text("place 1 of 3")
        board.keyboard.press("Shift+ArrowRight")
        expect(said(board)).to_contain_text("2 wide")
        board.keyboard.press("Enter")
        expect(said(board)).to_contain_text("put down at place 1 of 3")
    expect(grip).to_be_focused()
    board.reload()
    expect(card(board, "Queue")).to_have_css("grid-column-start", "span 2")
    in_order(board, ["Queue", "Clock", "Note"])
    grip.focus()
    board.keyboard.press("Enter")
    board.keyboard.press("End")
    expect(said(board)).to_contain_text("place 3 of 3")
    board.keyboard.press("Escape")
    expect(said(board)).to_contain_text("put back")
    in_order(board, ["Queue", "Clock", "Note"])


def test_a_widget_moves_by_pointer(board: Page) -> None:
    for kind in ("Clock", "Note"):
        add(board, kind)
    grip = card(board, "Note").get_by_role("button", name="Move or resize Note")
    goal = card(board, "Clock").bounding_box()
    assert goal is not None
    with saved(board):
        grip.hover()
        board.mouse.down()
        board.mouse.move(goal["x"] + 60, goal["y"] + 60, steps=8)
        board.mouse.up()
    board.reload()
    expect(board.get_by_role("article")).to_have_count(2)
    in_order(board, ["Note", "Clock"])


def test_size_is_chosen_in_a_dialog(board: Page) -> None:
    add(board, "Clock")
    menu(board, "Clock", "Size")
    dialog = board.get_by_role("dialog", name="Size of Clock")
    dialog.get_by_role("group", name="Width").get_by_role("radio", name="3").check()
    dialog.get_by_role("button", name="Close").last.click()
    expect(card(board, "Clock")).to_have_css("grid-column-start", "span 3")
    board.reload()
    expect(card(board, "Clock")).to_have_css("grid-column-start", "span 3")


def test_a_note_keeps_its_text(board: Page) -> None:
    add(board, "Note")
    note = board.get_by_role("textbox", name="Text of Note")
    expect(note).to_be_focused()
    with saved(board):
        note.fill("milk\nbread")
    expect(card(board, "Note").get_by_text("Saved", exact=True)).to_be_visible()
    note.fill("milk\nbread\neggs")
    board.reload()
    expect(note).to_have_value("milk\nbread\neggs")


def test_a_title_is_changed_in_its_place(board: Page) -> None:
    add(board, "Clock")
    menu(board, "Clock", "Rename")
    field = board.get_by_role("textbox", name="Title of the widget")
    field.fill("Here")
    with saved(board):
        field.press("Enter")
    expect(card(board, "Here")).to_be_visible()


def test_a_queue_follows_what_goes_on_by_itself(board: Page, kira: Home, models: Models) -> None:
    add(board, "Queue")
    expect(card(board, "Queue")).to_contain_text(re.compile(r"0 of \d slots busy"))
    models.behave(tokens=4000, rate=20)
    api = Api(kira).enter()
    conversation = api.call("POST", "/api/conversations", {"title": "elsewhere"})["id"]
    run = api.call("POST", f"/api/conversations/{conversation}/messages", {"content": "and so on"})["run"]["id"]
    expect(card(board, "Queue")).to_contain_text(re.compile(r"1 of \d slots busy"), timeout=60_000)
    api.call("POST", f"/api/runs/{run}/cancel")
    expect(card(board, "Queue")).to_contain_text(re.compile(r"0 of \d slots busy"), timeout=60_000)


def test_a_limit_says_the_wait(device: Device, own_home: Up, watch: Watch) -> None:
    watch.allow(429, "/refresh$")
    home = own_home(KIRA_LIMIT_WIDGET="1/1h")
    page = signed_in(device(), home, "/widgets")
    add(page, "Usage")
    expect(card(page, "Usage")).to_contain_text("Checked just now")
    add(page, "Recent")
    expect(card(page, "Recent")).to_contain_text(re.compile(r"Refreshed too often for now\. Again in (\d+ min|1 h)\."))
    expect(card(page, "Recent").get_by_role("button", name="Refresh Recent")).to_be_disabled()


def test_refresh_says_how_fresh(board: Page) -> None:
    add(board, "Usage")
    usage = card(board, "Usage")
    expect(usage).to_contain_text("Checked just now")
    with board.expect_response(re.compile("/refresh$")) as answer:
        usage.get_by_role("button", name="Refresh Usage").click()
    assert answer.value.ok
    expect(usage).to_contain_text("Checked just now")


def test_two_clicks_are_one_refresh(board: Page) -> None:
    add(board, "Usage")
    expect(card(board, "Usage")).to_contain_text("Checked just now")
    asked: list[Request] = []
    board.on("request", lambda request: asked.append(request) if request.url.endswith("/refresh") else None)
    button = card(board, "Usage").get_by_role("button", name="Refresh Usage")
    with board.expect_response(re.compile("/refresh$")):
        button.evaluate("(button) => { button.click(); button.click(); button.click(); }")
    expect(button).not_to_have_attribute("aria-busy", "true")
    assert len(asked) == 1


def test_a_removed_widget_can_be_brought_back(board: Page) -> None:
    add(board, "Note")
    note = board.get_by_role("textbox", name="Text of Note")
    with saved(board):
        note.fill("precious")
    menu(board, "Note", "Remove")
    expect(board.get_by_role("article")).to_have_count(0)
    board.get_by_role("status", name="Notices").get_by_role("button", name="Undo").click()
    expect(note).to_have_value("precious")
    board.reload()
    expect(note).to_have_value("precious")


def add(page: Page, kind: str) -> None:
    """Add a widget by the menu, or by the first buttons of an empty page."""
    before = page.get_by_role("article").count()
    page.get_by_role("button", name="Add widget").click()
    page.get_by_role("menuitem", name=re.compile(f"^{kind}")).click()
    expect(page.get_by_role("article")).to_have_count(before + 1)


def card(page: Page, title: str) -> Locator:
    """A widget by its title."""
    return page.get_by_role("article", name=title, exact=True)


def menu(page: Page, title: str, item: str) -> None:
    """Choose something in the menu of a widget."""
    card(page, title).get_by_role("button", name=f"More for {title}").click()
    page.get_by_role("menuitem", name=item).click()


def in_order(page: Page, titles: list[str]) -> None:
    """Return when the widgets are seen in the order of `titles`."""
    order = """(wanted) => [...document.querySelectorAll('article')].sort((a, b) => a.style.order - b.style.order)
      .map((one) => one.querySelector('h2')?.textContent).join() === wanted.join()"""
    page.wait_for_function(order, arg=titles)


def said(page: Page) -> Locator:
    """What screen readers are told about arranging."""
    return page.locator("main > p[aria-live=assertive]")


@contextmanager
def saved(page: Page) -> Iterator[None]:
    """Wait until a change of a widget has reached the server."""
    with page.expect_response(lambda response: response.request.method == "PATCH" and response.ok):
        yield
