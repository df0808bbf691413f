"""Coming in: the printed link, accounts, and what a wrong password says."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from tests.browser.conftest import Device
from tests.browser.rig import PASSWORD, Home
from tests.browser.watch import Watch

REFRESH = "/api/auth/refresh$"


def composer_of(page: Page) -> None:
    """Return when the page shows Chat."""
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()


def test_the_printed_link_signs_in_and_its_token_leaves_the_address(device: Device, kira: Home) -> None:
    page = device()
    page.goto(kira.link)
    composer_of(page)
    expect(page).to_have_url(kira.at("/"))
    page.reload()
    composer_of(page)


def test_without_the_link_the_page_says_what_to_open_and_takes_it(device: Device, kira: Home, watch: Watch) -> None:
    watch.allow(401, REFRESH)
    page = device()
    page.goto(kira.at("/"))
    expect(page.get_by_role("heading", name="Open Kira from the terminal")).to_be_visible()
    page.get_by_role("textbox", name="Printed address or token").fill(kira.link)
    page.get_by_role("button", name="Open").click()
    composer_of(page)


def test_a_wrong_token_is_told_and_nothing_is_lost(device: Device, kira: Home, watch: Watch) -> None:
    watch.allow(401, REFRESH)
    watch.allow(401, "/api/auth/local$")
    page = device()
    page.goto(kira.at("/?token=from-an-earlier-start"))
    expect(page.get_by_role("status").filter(has_text="from an earlier start")).to_be_visible()
    field = page.get_by_role("textbox", name="Printed address or token")
    field.fill("not-a-token")
    field.press("Enter")
    expect(page.get_by_text("This is not the token Kira printed last.")).to_be_visible()
    expect(field).to_have_value("not-a-token")


def test_an_account_is_made_left_and_entered_again(device: Device, accounts: Home, watch: Watch) -> None:
    watch.allow(401, REFRESH)
    page = device()
    page.goto(accounts.at("/"))
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("E-mail").fill("ada@example.org")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    composer_of(page)
    page.goto(accounts.at("/settings"))
    expect(page.get_by_label("Name")).to_have_value("Ada")
    page.get_by_role("button", name="Sign out here").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("E-mail").fill("Ada@Example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    composer_of(page)


def test_a_wrong_password_and_an_unknown_e_mail_get_the_same_words(
    device: Device, accounts: Home, watch: Watch
) -> None:
    watch.allow(401, REFRESH)
    watch.allow(401, "/api/auth/sign-in$")
    page = device()
    page.goto(accounts.at("/"))
    page.get_by_label("E-mail").fill("ada@example.org")
    page.get_by_label("Password").fill("not the password")
    page.get_by_label("Password").press("Enter")
    first = page.get_by_role("alert").inner_text()
    page.get_by_label("E-mail").fill("nobody@example.org")
    with page.expect_response(re.compile("/api/auth/sign-in$")):
        page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("alert")).to_have_text(first)
    assert "do not belong together" in first
    expect(page.get_by_label("Password")).to_have_value("not the password")


def test_what_is_missing_is_said_at_its_field(device: Device, accounts: Home, watch: Watch) -> None:
    watch.allow(401, REFRESH)
    page = device()
    page.goto(accounts.at("/"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("E-mail")).to_have_accessible_description("Enter your e-mail address.")
    expect(page.get_by_label("Password")).to_have_accessible_description("Enter your password.")


def test_a_page_that_does_not_exist_says_so(page: Page, kira: Home) -> None:
    page.goto(kira.at("/no-such-page"))
    expect(page.get_by_role("heading", name="There is nothing at this address")).to_be_visible()
    page.get_by_role("link", name="Go to chat").click()
    expect(page).to_have_url(re.compile(r"/$"))
    composer_of(page)
