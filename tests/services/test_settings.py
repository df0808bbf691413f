"""Settings: one's own, changed part by part."""

from __future__ import annotations

import asyncio

import pytest

from kira.domain.accounts import SignedIn
from kira.domain.errors import Invalid
from kira.domain.guests import Guest
from kira.domain.limits import SYSTEM_PROMPT_CHARACTERS_MAX
from kira.services.settings import Settings, SettingsChange, UserSettings
from kira.services.visits import Visit
from kira.testing.visiting import SmallWorld, accounts_of, form_of, visit_of


@pytest.fixture
def settings(small_world: SmallWorld) -> Settings:
    return Settings(small_world.database, small_world.clock)


@pytest.fixture
async def visits(small_world: SmallWorld) -> list[Visit]:
    """Of Aya, and of Bo."""
    accounts, home = accounts_of(small_world), Guest("192.0.2.1")
    made: list[SignedIn] = [await accounts.sign_up(form_of(f"{name}@example.org"), home) for name in ("aya", "bo")]
    return [visit_of(small_world, signed_in) for signed_in in made]


async def test_who_has_chosen_nothing_has_the_defaults(settings: Settings, visits: list[Visit]) -> None:
    assert await settings.get(visits[0]) == UserSettings(None, "", "system")


async def test_what_is_not_given_stays(settings: Settings, visits: list[Visit]) -> None:
    steps = [
        (SettingsChange(theme="dark"), UserSettings(None, "", "dark")),
        (SettingsChange("llama3.2", True), UserSettings("llama3.2", "", "dark")),
        (
            SettingsChange(system_prompt="Be brief.\n\tAlways."),
            UserSettings("llama3.2", "Be brief.\n\tAlways.", "dark"),
        ),
        (SettingsChange(), UserSettings("llama3.2", "Be brief.\n\tAlways.", "dark")),
        (SettingsChange(None, True, system_prompt=""), UserSettings(None, "", "dark")),
    ]
    for change, expected in steps:
        assert await settings.change(visits[0], change) == expected
        assert await settings.get(visits[0]) == expected


async def test_settings_of_others_stay_theirs(settings: Settings, visits: list[Visit]) -> None:
    await settings.change(visits[0], SettingsChange(system_prompt="Aya's", theme="light"))
    assert await settings.get(visits[1]) == UserSettings()
    await settings.change(visits[1], SettingsChange(system_prompt="Bo's"))
    assert (await settings.get(visits[0])).system_prompt == "Aya's"


async def test_changes_of_different_parts_at_once_all_count(settings: Settings, visits: list[Visit]) -> None:
    changes = [SettingsChange("m", True), SettingsChange(system_prompt="p"), SettingsChange(theme="dark")]
    await asyncio.gather(*(settings.change(visits[0], change) for change in changes))
    assert await settings.get(visits[0]) == UserSettings("m", "p", "dark")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (SettingsChange("", True), "model"),
        (SettingsChange("m" * 201, True), "model"),
        (SettingsChange("m\ud800", True), "model"),
        (SettingsChange(system_prompt="x" * (SYSTEM_PROMPT_CHARACTERS_MAX + 1)), "system_prompt"),
        (SettingsChange(system_prompt="a\x00b"), "system_prompt"),
        (SettingsChange(system_prompt="\udfff"), "system_prompt"),
    ],
)
async def test_a_wrong_value_is_refused_with_its_field(
    settings: Settings, visits: list[Visit], change: SettingsChange, path: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await settings.change(visits[0], change)
    assert [field["path"] for field in refused.value.details["fields"]] == [path]  # type: ignore[attr-defined]  # details are any objects
    assert await settings.get(visits[0]) == UserSettings()
