"""Many tabs of one browser, and many devices of one user, tell the same story."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, Request, expect
from tests.browser.chat import Chat
from tests.browser.conftest import Device, signed_in
from tests.browser.rig import Home, Models

TABS = 10
WORDS = "alpha beta gamma delta"
STREAM = "/events"


class Streams:
    """Counts the event streams that a browser holds open."""

    def __init__(self, context: BrowserContext) -> None:
        """Count from now on."""
        self._open: set[Request] = set()
        self.most = 0
        context.on("request", self._begun)
        context.on("requestfinished", self._over)
        context.on("requestfailed", self._over)

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
    models.behave(tokens=1200, rate=30)
    first = Chat(page)
    first.ask(WORDS)
    tabs = [first]
    for _ in range(TABS - 1):
        tab = Chat(page.context.new_page())
        tab.page.goto(page.url)
        tabs.append(tab)
    busy = sum(tab.answers.last.get_attribute("aria-busy") == "true" for tab in tabs)
    assert busy == TABS, "the answer ended before all tabs were open"
    models.behave(rate=400)
    for tab in tabs:
        expect(tab.answers.last.locator(".prose")).to_have_text(" ".join([WORDS] * 300), timeout=30_000)
        tab.finish()
    assert streams.most == 1


def test_the_next_tab_takes_over_when_the_one_that_listens_closes(device: Device, kira: Home, models: Models) -> None:
    page = signed_in(device(), kira)
    streams = Streams(page.context)
    models.behave(tokens=100, rate=30)
    Chat(page).ask(WORDS)
    second = Chat(page.context.new_page())
    second.page.goto(page.url)
    expect(second.answers.last).to_contain_text("alpha beta gamma")
    page.close()
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


def looked_at(page: Page) -> None:
    """Come back to a page, as the browser tells it."""
    page.evaluate("dispatchEvent(new Event('focus'))")
