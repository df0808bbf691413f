"""The Chat page as its user handles it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

CONVERSATION = re.compile(r"/c/[0-9a-f-]{36}$")


@dataclass(frozen=True)
class Chat:
    """One page of Chat: asking, and finding what is shown."""

    page: Page

    @property
    def composer(self) -> Locator:
        """The field for the next message."""
        return self.page.get_by_role("textbox", name="Message", exact=True)

    @property
    def questions(self) -> Locator:
        """The user's messages."""
        return self.page.get_by_role("article", name="You", exact=True)

    @property
    def answers(self) -> Locator:
        """The answers, the one under way among them."""
        return self.page.get_by_role("article", name="Kira", exact=True)

    @property
    def stop_button(self) -> Locator:
        """Stops the answer; there only while one is made."""
        return self.page.get_by_role("button", name="Stop", exact=True)

    @property
    def current_row(self) -> Locator:
        """The open conversation in the list."""
        return self.page.get_by_role("listitem").filter(has=self.page.locator("a[aria-current=page]"))

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    def item(self, name: str) -> Locator:
        """An entry of the menu that is open."""
        return self.page.get_by_role("menuitem", name=name)

    def ask(self, text: str) -> None:
        """Send `text` and return when the server has it."""
        self.composer.fill(text)
        self.composer.press("Enter")
        expect(self.composer).to_have_value("")
        self.page.wait_for_url(CONVERSATION)

    def finish(self) -> None:
        """Return when no answer is under way."""
        expect(self.answers.last).not_to_have_attribute("aria-busy", "true")
        expect(self.stop_button).to_have_count(0)

    def say(self, text: str) -> Locator:
        """Let the model answer exactly `text`; returns the finished answer."""
        before = self.answers.count()
        self.ask(f"say:{text}")
        expect(self.answers).to_have_count(before + 1)
        self.finish()
        return self.answers.last

    def options(self) -> None:
        """Open the menu of the open conversation."""
        self.current_row.get_by_role("button", name=re.compile("^Options of")).click()

    def delete(self, message: Locator) -> None:
        """Delete a message with what follows it, and return when the page has let it go."""
        before = self.questions.count() + self.answers.count()
        message.get_by_role("button", name="More").click()
        self.item("Delete").click()
        sure = self.page.get_by_role("group", name=re.compile("^Delete this message"))
        sure.get_by_role("button", name="Delete").click()
        expect(sure).to_have_count(0)
        expect(self.questions.or_(self.answers)).not_to_have_count(before)

    def delete_conversation(self) -> None:
        """Delete the open conversation, and return when the page shows a new one."""
        self.options()
        self.item("Delete").click()
        sure = self.page.get_by_role("group", name=re.compile("^Delete “"))
        sure.get_by_role("button", name="Delete", exact=True).click()
        self.page.wait_for_url(re.compile("/$"))
