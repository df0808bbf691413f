"""Many tabs of one browser, and many devices of one user, tell the same story."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Page, Request, expect
from tests.browser.chat import Chat
from tests.browser.conftest import Device, signed_in
from tests.browser.rig import Home, Models
from tests.browser.watch import Watch

TABS = 10
WORDS = "alpha beta gamma delta"
STREAM = "/events"


class Streams:
    """Counts the event streams that a browser holds open."""

    def __init__(self, context: BrowserContext) -> None:
        """Count from now on."""
        self._context = context
        self._open: set[Request] = set()
        self.most = 0
        context.on("request", self._begun)
        context.on("requestfinished", self._over)
        context.on("requestfailed", self._over)

    def end(self) -> None:
        """Return when none is open any more."""
        for _ in range(300):
            if not self._open:
                return
            self._context.pages[0].wait_for_timeout(50)
        raise AssertionError("a stream of events stays open although nothing is under way")

    def _begun(self, request: Request) -> None:
        if not request.url.endswith(STREAM):
            return
        # The streams of a closed tab end without a word.
        self._open = {one for one in self._open if not one.frame.page.is_closed()} | {request}
        self.most = max(self.most, len(self._open))

    def _over(self, request: Request) -> None:
        self._open.discard(request)


def test_ten_tabs_show_the_whole_answer_over_one_stream(device: Device, kira: Home, models: Models) -> None:
    page = signed_in(device(), kira)
    streams = Streams(page.context)
    models.behave(tokens=1200, rate=5)
    first = Chat(page)
    first.ask(WORDS)
    tabs = [first]
    for _ in range(TABS - 1):
        tab = Chat(page.context.new_page())
        tab.page.goto(page.url)
        tabs.append(tab)
    for tab in tabs:
        expect(tab.answers.last).to_have_attribute("aria-busy", "true")
    models.behave(rate=400)
    for tab in tabs:
        expect(tab.answers.last.locator(".prose")).to_have_text(" ".join([WORDS] * 300), timeout=30_000)
        tab.finish()
    streams.end()
    assert streams.most == 1


def test_the_next_tab_takes_over_when_the_one_that_listens_closes(device: Device, kira: Home, models: Models) -> None:
    page = signed_in(device(), kira)
    streams = Streams(page.context)
    models.behave(tokens=100, rate=3)
    Chat(page).ask(WORDS)
    second = Chat(page.context.new_page())
    second.page.goto(page.url)
    expect(second.answers.last).to_contain_text("alpha beta gamma")
    page.close()
    expect(second.answers.last).to_contain_text("alpha beta gamma delta alpha beta gamma delta alpha")
    models.behave(rate=400)
    expect(second.answers.last.locator(".prose")).to_have_text(" ".join([WORDS] * 25), timeout=30_000)
    second.finish()
    assert streams.most == 1


def test_a_closed_browser_stops_nothing(device: Device, kira: Home, models: Models) -> None:
    models.behave(tokens=60, rate=40)
    page = signed_in(device(), kira)
    Chat(page).ask(WORDS)
    place = page.url
    page.context.close()
    again = Chat(signed_in(device(), kira))
    again.page.goto(place)
    expect(again.answers.last.locator(".prose")).to_have_text(" ".join([WORDS] * 15))
    again.finish()


def test_two_devices_see_each_other_s_conversation(device: Device, kira: Home) -> None:
    desk, phone = Chat(signed_in(device(), kira)), Chat(signed_in(device(), kira))
    desk.say("Hello from the desk.")
    place = desk.page.url
    looked_at(phone.page)
    phone.page.locator(f"a[href='{place.removeprefix(kira.address)}']").click()
    expect(phone.answers.last).to_contain_text("Hello from the desk.")
    phone.say("Hello from the phone.")
    looked_at(desk.page)
    expect(desk.answers).to_have_count(2)
    expect(desk.answers.last).to_contain_text("Hello from the phone.")


def test_an_answer_on_one_device_streams_on_the_other(device: Device, kira: Home, models: Models) -> None:
    desk, phone = Chat(signed_in(device(), kira)), Chat(signed_in(device(), kira))
    models.behave(tokens=4000, rate=60)
    desk.ask("streaming here")
    expect(desk.answers.last).to_contain_text("streaming here streaming")
    phone.page.goto(desk.page.url)
    expect(phone.answers.last).to_have_attribute("aria-busy", "true")
    expect(phone.answers.last).to_contain_text("streaming here streaming")
    phone.stop_button.click()
    desk.finish()
    expect(desk.answers.last).to_contain_text("Stopped by you")


def test_what_is_deleted_in_one_tab_goes_from_the_others(device: Device, kira: Home, watch: Watch) -> None:
    here = Chat(signed_in(device(), kira))
    here.say("kept")
    here.say("given up")
    there = Chat(here.page.context.new_page())
    there.page.goto(here.page.url)
    expect(there.answers).to_have_count(2)
    here.delete(here.answers.last)
    for tab in (here, there):
        expect(tab.answers).to_have_count(1)
        expect(tab.questions).to_have_count(2)
    here.delete(here.questions.last)
    expect(there.questions).to_have_count(1)
    expect(there.answers).to_have_text(re.compile("kept"))
    watch.allow(404, "/api/conversations/")
    here.delete_conversation()
    expect(there.page.get_by_role("heading", name="This conversation is not here").first).to_be_visible()


def test_what_is_deleted_on_one_device_goes_from_the_other(device: Device, kira: Home, watch: Watch) -> None:
    desk, phone = Chat(signed_in(device(), kira)), Chat(signed_in(device(), kira))
    desk.say("kept")
    desk.say("given up")
    phone.page.goto(desk.page.url)
    expect(phone.answers).to_have_count(2)
    expect(phone.current_row).to_be_visible()
    desk.delete(desk.questions.last)
    expect(desk.questions).to_have_count(1)
    looked_at(phone.page)
    expect(phone.questions).to_have_count(1)
    expect(phone.answers).to_have_text(re.compile("kept"))
    watch.allow(404, "/api/conversations/")
    desk.delete_conversation()
    looked_at(phone.page)
    expect(phone.page.get_by_role("heading", name="This conversation is not here").first).to_be_visible()


def looked_at(page: Page) -> None:
    """Come back to a page, as the browser tells it."""
    page.evaluate("dispatchEvent(new Event('focus'))")
