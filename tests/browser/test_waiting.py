"""Waiting and failing: the place in the line, why it waits, what went wrong, and trying again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.browser.chat import Chat
from tests.browser.conftest import Device, Up, signed_in
from tests.browser.rig import Home, Models, home_up, models_up
from tests.browser.watch import Watch

ENDLESS = {"tokens": 4000, "rate": 60.0}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Models, Home]]:
    """A Kira whose model server has one slot."""
    with models_up(slots=1) as models:
        folder = tmp_path_factory.mktemp("narrow")
        with home_up(folder, models, KIRA_SLOTS="1", OLLAMA_NUM_PARALLEL="1") as home:
            yield models, home


def test_the_place_in_the_line_is_shown_and_moves(device: Device, narrow: tuple[Models, Home]) -> None:
    models, home = narrow
    models.behave(**ENDLESS)
    page = signed_in(device(), home)
    first, second, third = Chat(page), Chat(page.context.new_page()), Chat(page.context.new_page())
    first.ask("first one")
    expect(first.answers.last).to_contain_text("first one first")
    for chat, text in ((second, "second one"), (third, "third one")):
        chat.page.goto(home.at("/"))
        chat.ask(text)
        expect(chat.answers.last).to_contain_text("in line")
    expect(second.answers.last).to_contain_text(re.compile(r"next in line, about \d+ (s|min)"))
    expect(third.answers.last).to_contain_text(re.compile(r"2nd in line, about \d+ (s|min)"))
    first.stop_button.click()
    expect(second.answers.last).to_contain_text("second one second")
    expect(third.answers.last).to_contain_text("next in line")
    second.stop_button.click()
    expect(third.answers.last).to_contain_text("third one third")
    third.stop_button.click()
    third.finish()


def test_who_waits_may_give_up(device: Device, narrow: tuple[Models, Home]) -> None:
    models, home = narrow
    models.behave(**ENDLESS)
    page = signed_in(device(), home)
    first, second = Chat(page), Chat(page.context.new_page())
    first.ask("busy with this")
    expect(first.answers.last).to_contain_text("busy with this busy")
    second.page.goto(home.at("/"))
    second.ask("never mind")
    expect(second.answers.last).to_contain_text("next in line")
    second.stop_button.click()
    second.finish()
    expect(second.answers.last).to_contain_text("stopped by you")
    first.stop_button.click()
    first.finish()


def test_an_answer_says_that_it_is_read_before_its_first_word(chat: Chat, models: Models) -> None:
    chat.say("warm")
    models.behave(first=60.0)
    chat.ask("say:after a while")
    expect(chat.answers.last).to_contain_text("reading your question")
    expect(chat.answers.last).to_contain_text(re.compile(r"reading your question \(\d+ s\)"))
    models.behave(first=0.02)
    expect(chat.answers.last.locator(".prose")).to_have_text("after a while")
    chat.finish()


def test_a_server_that_is_away_is_the_reason_and_its_return_the_answer(
    device: Device, models: Models, own_home: Up
) -> None:
    home = own_home()
    chat = Chat(signed_in(device(), home))
    chat.say("warm")
    models.fail("down")
    chat.ask("say:back again")
    expect(chat.answers.last).to_contain_text(re.compile("cannot be reached|does not answer"))
    expect(chat.answers.last).not_to_contain_text("about")
    expect(chat.stop_button).to_be_visible()
    models.calm()
    expect(chat.answers.last).to_contain_text("back again", timeout=30_000)
    chat.finish()
    expect(chat.answers).to_have_count(2)


def test_a_failed_answer_says_why_and_can_be_tried_again(chat: Chat, models: Models) -> None:
    models.fail("memory")
    chat.ask("say:worth another try")
    expect(chat.answers.last).to_contain_text("failed:")
    expect(chat.answers.last).to_contain_text(re.compile("memory"))
    chat.page.reload()
    expect(chat.answers.last).to_contain_text("failed:")
    models.calm()
    chat.answers.last.get_by_role("button", name="Try again").click()
    expect(chat.answers.last.locator(".prose")).to_have_text("worth another try")
    chat.finish()
    expect(chat.questions).to_have_count(1)


def test_a_cut_answer_begins_again_and_comes_whole_once(chat: Chat, models: Models) -> None:
    models.fail("cut", after=4, times=1)
    chat.ask("say:one two three four five six seven")
    expect(chat.answers.last.locator(".prose")).to_have_text("one two three four five six seven", timeout=30_000)
    chat.finish()
    expect(chat.answers).to_have_count(1)


def test_with_no_model_the_page_says_what_to_do_and_the_demo_answers(
    device: Device, models: Models, own_home: Up
) -> None:
    models.behave(models=[])
    home = own_home()
    chat = Chat(signed_in(device(), home))
    expect(chat.page.get_by_text("no model yet")).to_have_count(1)
    expect(chat.page.get_by_role("combobox", name="Model")).to_have_value(re.compile("demo", re.I))
    chat.ask("hello")
    chat.finish()
    expect(chat.answers.last.locator(".prose")).not_to_be_empty()


def test_a_model_that_comes_later_is_found_without_a_reload(device: Device, models: Models, own_home: Up) -> None:
    models.behave(models=[])
    chat = Chat(signed_in(device(), own_home()))
    chat.say("to the demo")
    models.calm()
    picker = chat.page.get_by_role("combobox", name="Model")
    expect(picker).to_have_value(re.compile("test"), timeout=60_000)
    expect(chat.page.get_by_text("no model yet")).to_have_count(0)


def test_a_refused_message_keeps_its_text_and_tells_the_wait(
    device: Device, models: Models, own_home: Up, watch: Watch
) -> None:
    watch.allow(429, "/messages$")
    home = own_home(KIRA_LIMIT_CONVERSATION="1/1h")
    chat = Chat(signed_in(device(), home))
    chat.say("the only one")
    chat.composer.fill("one too many")
    chat.composer.press("Enter")
    alert = chat.page.get_by_role("alert").filter(has_text="Not sent")
    expect(alert).to_contain_text(re.compile(r"try again in (\d+ min|1 h)"))
    expect(chat.composer).to_have_value("one too many")
