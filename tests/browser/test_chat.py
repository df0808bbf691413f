"""A conversation: asking, stopping, answering again, branches, the list, code and the choice of a model."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from tests.browser.chat import Chat
from tests.browser.conftest import Device, Up, signed_in
from tests.browser.rig import Home, Models

ENDLESS = {"tokens": 4000, "rate": 60.0}


def test_an_answer_streams_to_its_end_and_the_conversation_is_in_the_list(chat: Chat, models: Models) -> None:
    models.behave(tokens=60, rate=2)
    chat.ask("one two three")
    expect(chat.answers.last).to_have_attribute("aria-busy", "true")
    expect(chat.answers.last).to_contain_text("one two three one")
    expect(chat.current_row).to_contain_text("one two three")
    models.behave(rate=400)
    chat.finish()
    expect(chat.answers.last.locator(".prose")).to_have_text(" ".join(["one two three"] * 20))
    expect(chat.questions).to_have_text("one two three")
    expect(chat.composer).to_be_focused()


def test_stop_keeps_what_was_written(chat: Chat, models: Models) -> None:
    models.behave(**ENDLESS)
    chat.ask("never ending")
    expect(chat.answers.last).to_contain_text("never ending never")
    expect(chat.page.get_by_text(re.compile(r"writing, about [\d,]+ tokens/s"))).to_be_visible()
    chat.stop_button.click()
    chat.finish()
    expect(chat.answers.last).to_contain_text("Stopped by you")
    expect(chat.answers.last).to_contain_text("never ending never")


def test_escape_stops_too(chat: Chat, models: Models) -> None:
    models.behave(**ENDLESS)
    chat.ask("on and on")
    expect(chat.answers.last).to_contain_text("on and on on")
    chat.composer.press("Escape")
    chat.finish()
    expect(chat.answers.last).to_contain_text("Stopped by you")


def test_another_answer_stands_beside_the_first(chat: Chat) -> None:
    chat.say("The first.")
    chat.answers.last.get_by_role("button", name="Answer again").click()
    versions = chat.answers.last.get_by_role("group", name="Versions")
    expect(versions).to_contain_text("2 / 2")
    chat.finish()
    versions.get_by_role("button", name="Previous version").click()
    expect(versions).to_contain_text("1 / 2")
    chat.page.reload()
    expect(chat.answers.last.get_by_role("group", name="Versions")).to_contain_text("1 / 2")


def test_an_edited_question_is_a_branch_and_both_can_be_read(chat: Chat) -> None:
    chat.say("Answer A")
    chat.questions.last.get_by_role("button", name="Edit").click()
    editor = chat.page.get_by_role("textbox", name="Edit your question")
    editor.fill("say:Answer B")
    chat.button("Send as a new branch").click()
    expect(chat.answers.last).to_contain_text("Answer B")
    chat.finish()
    versions = chat.questions.last.get_by_role("group", name="Versions")
    expect(versions).to_contain_text("2 / 2")
    versions.get_by_role("button", name="Previous version").click()
    expect(chat.answers.last).to_contain_text("Answer A")
    expect(chat.questions).to_have_count(1)
    versions.get_by_role("button", name="Next version").click()
    expect(chat.answers.last).to_contain_text("Answer B")


def test_up_in_an_empty_field_edits_the_last_question(chat: Chat) -> None:
    chat.say("fine")
    chat.composer.press("ArrowUp")
    editor = chat.page.get_by_role("textbox", name="Edit your question")
    expect(editor).to_be_focused()
    expect(editor).to_have_value("say:fine")
    editor.press("Escape")
    expect(editor).to_have_count(0)


def test_a_message_and_what_follows_it_are_deleted(chat: Chat) -> None:
    chat.say("kept")
    chat.say("given up")
    chat.delete(chat.questions.last)
    expect(chat.questions).to_have_count(1)
    expect(chat.answers).to_have_count(1)
    expect(chat.answers.last).to_contain_text("kept")


def test_a_question_that_is_deleted_while_it_is_answered_leaves_nothing_under_way(chat: Chat, models: Models) -> None:
    chat.say("kept")
    models.behave(**ENDLESS)
    chat.ask("endless words")
    expect(chat.answers.last).to_contain_text("endless words endless")
    chat.delete(chat.questions.last)
    expect(chat.questions).to_have_count(1)
    expect(chat.stop_button).to_have_count(0)
    models.calm()
    chat.say("goes on")


def test_details_tell_model_and_tokens(chat: Chat) -> None:
    answer = chat.say("short")
    answer.get_by_role("button", name="More").click()
    chat.page.get_by_role("menuitemradio", name="Details").click()
    expect(answer).to_contain_text("test:latest")
    expect(answer).to_contain_text(re.compile(r"\d+ read, \d+ written"))
    expect(answer).to_contain_text("answered in")


def test_a_conversation_is_renamed_and_deleted_in_its_place(chat: Chat, kira: Home) -> None:
    chat.say("something")
    chat.options()
    chat.item("Rename").click()
    field = chat.page.get_by_role("textbox", name="Title", exact=True)
    field.fill("A better title")
    field.press("Enter")
    expect(chat.current_row).to_contain_text("A better title")
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("A better title")
    expect(chat.page).to_have_title("A better title · Kira")
    address = chat.page.url
    chat.options()
    chat.item("Delete").click()
    chat.page.get_by_role("group", name=re.compile("^Delete “A better title”")).get_by_role(
        "button", name="Delete", exact=True
    ).click()
    expect(chat.page).to_have_url(kira.at("/"))
    expect(chat.page.locator(f"a[href='{address.removeprefix(kira.address)}']")).to_have_count(0)


def test_search_finds_words_in_messages_and_leads_there(chat: Chat) -> None:
    chat.say("A pangolin rolls into a ball.")
    found_at = chat.page.url
    chat.page.goto("about:blank")
    chat.page.go_back()
    chat.page.get_by_role("link", name="New conversation").first.click()
    search = chat.page.get_by_role("searchbox")
    search.fill("pangolin")
    hit = chat.page.get_by_role("link").filter(has_text="rolls into a ball").first
    expect(hit.locator("mark")).to_have_text("pangolin")
    hit.click()
    expect(chat.page).to_have_url(re.compile(re.escape(found_at)))
    expect(chat.answers.last).to_contain_text("pangolin")
    search.fill("nothing-like-this")
    expect(chat.page.get_by_text("Nothing of yours matches “nothing-like-this”.")).to_be_visible()
    search.press("Escape")
    expect(search).to_have_value("")


def test_code_is_coloured_copied_and_wrapped(chat: Chat) -> None:
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer = chat.say("Look:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\nThat is all.")
    code = answer.get_by_role("group", name="Code, python")
    expect(code).to_contain_text("return a + b")
    expect(code.locator(".hljs-keyword").first).to_have_text("def")
    answer.get_by_role("button", name="Copy code").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    copied = chat.page.evaluate("navigator.clipboard.readText()")
    assert copied == "def add(a, b):\n    return a + b"
    wrap = answer.get_by_role("button", name="Wrap lines")
    wrap.click()
    expect(wrap).to_have_attribute("aria-pressed", "true")


def test_the_model_is_chosen_and_answers(device: Device, models: Models, own_home: Up) -> None:
    models.behave(models=["test:latest", "other:7b"], loaded_max=2)
    home = own_home()
    chat = Chat(signed_in(device(), home))
    picker = chat.page.get_by_role("combobox", name="Model")
    expect(picker).to_have_value(re.compile("test"))
    picker.click()
    chat.page.get_by_role("option", name=re.compile("other")).click()
    expect(picker).to_have_value(re.compile("other"))
    answer = chat.say("from the other")
    answer.get_by_role("button", name="More").click()
    chat.page.get_by_role("menuitemradio", name="Details").click()
    expect(answer).to_contain_text("other:7b")


def test_shift_enter_breaks_the_line(chat: Chat) -> None:
    chat.composer.press_sequentially("say:one")
    chat.composer.press("Shift+Enter")
    chat.composer.press_sequentially("two")
    expect(chat.composer).to_have_value("say:one\ntwo")
    chat.composer.press("Enter")
    chat.page.wait_for_url(re.compile("/c/"))
    chat.finish()
    expect(chat.questions.locator("p").first).to_have_text("say:one\ntwo")
