"""Settings: the theme, the system prompt, the default model, the profile, the password and the sessions."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from tests.browser.api import Api
from tests.browser.chat import Chat
from tests.browser.conftest import Device, Up, signed_in
from tests.browser.rig import PASSWORD, Home, Models
from tests.browser.watch import Watch


@pytest.fixture
def settings(page: Page) -> Page:
    """The Settings page."""
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.get_by_role("region", name="System prompt").get_by_role("textbox")).to_be_visible()
    return page


def test_the_theme_applies_at_once_and_before_the_next_first_paint(settings: Page) -> None:
    light = background(settings)
    with settings.expect_response(re.compile("/api/settings$")):
        settings.get_by_role("radio", name="Dark").check()
    expect(settings.locator("html")).to_have_attribute("data-theme", "dark")
    expect(settings.locator("html")).not_to_have_css("background-color", light)
    settings.route("**/api/**", lambda route: None)
    settings.reload(wait_until="commit")
    expect(settings.locator("html")).to_have_attribute("data-theme", "dark")
    settings.unroute_all(behavior="ignoreErrors")
    settings.reload()
    settings.get_by_role("radio", name="Light").check()
    expect(settings.locator("html")).to_have_css("background-color", light)
    with settings.expect_response(re.compile("/api/settings$")):
        settings.get_by_role("radio", name="System").check()
    settings.emulate_media(color_scheme="dark")
    expect(settings.locator("html")).not_to_have_css("background-color", light)


def test_the_system_prompt_is_kept_while_typed_and_saved_when_asked(settings: Page, kira: Home) -> None:
    field = settings.get_by_role("region", name="System prompt").get_by_role("textbox")
    field.fill("Answer like a pirate.")
    settings.reload()
    expect(field).to_have_value("Answer like a pirate.")
    part = settings.get_by_role("region", name="System prompt")
    expect(part).to_contain_text("Not saved yet")
    part.get_by_role("button", name="Save").click()
    expect(part).to_contain_text("Saved.")
    assert Api(kira).enter().call("GET", "/api/settings")["system_prompt"] == "Answer like a pirate."
    field.fill("")
    part.get_by_role("button", name="Save").click()
    expect(part).to_contain_text("Saved.")


def test_the_default_model_is_chosen(device: Device, models: Models, own_home: Up) -> None:
    models.behave(models=["test:latest", "other:7b"])
    home = own_home()
    page = signed_in(device(), home, "/settings")
    picker = page.get_by_role("combobox", name="Default model")
    picker.click()
    with page.expect_response(re.compile("/api/settings$")):
        page.get_by_role("option", name=re.compile("^other")).click()
    page.goto(home.at("/"))
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("other"))


def test_a_session_that_is_revoked_elsewhere_ends_there(device: Device, kira: Home, watch: Watch) -> None:
    watch.allow(401, "/api/")
    here = signed_in(device(), kira, "/settings")
    there = signed_in(device(user_agent="Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0"), kira)
    Chat(there).composer.fill("still typing")
    here.reload()
    rows = here.get_by_role("region", name="Sessions").get_by_role("listitem")
    expect(rows.first).to_contain_text("This one")
    rows.filter(has_text="Firefox").get_by_role("button").click()
    expect(rows.filter(has_text="Firefox")).to_have_count(0)
    there.get_by_role("textbox", name="Message", exact=True).press("Enter")
    dialog = there.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible()
    kira.open_again(dialog)
    expect(Chat(there).questions).to_have_text("still typing")
    Chat(there).finish()


def test_name_and_password_change(device: Device, accounts: Home, watch: Watch) -> None:
    watch.allow(401, "/api/auth/refresh$")
    watch.allow(422, "/api/auth/password$")
    page = device()
    Api(accounts).call("POST", "/api/auth/sign-up", {"email": "alan@example.org", "password": PASSWORD})
    page.goto(accounts.at("/"))
    page.get_by_label("E-mail").fill("alan@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    page.get_by_role("textbox", name="Message", exact=True).wait_for()
    page.get_by_role("link", name="Settings", exact=True).click()
    profile = page.get_by_role("region", name="Profile")
    profile.get_by_label("Name").fill("Alan T.")
    profile.get_by_role("button", name="Save").click()
    expect(profile).to_contain_text("Saved.")
    part = page.get_by_role("region", name="Password")
    part.get_by_label("Current password").fill("wrong")
    part.get_by_label("New password").fill("another good one")
    part.get_by_role("button", name="Change password").click()
    expect(part.get_by_label("Current password")).to_have_accessible_description("This is not your current password.")
    part.get_by_label("Current password").fill(PASSWORD)
    part.get_by_role("button", name="Change password").click()
    expect(part).to_contain_text("The password was changed")
    Api(accounts).sign_in("alan@example.org", "another good one")


def background(page: Page) -> str:
    """The colour of the page."""
    found: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return found
