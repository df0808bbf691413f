"""Settings: the command line counts first, then the environment, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kira.domain.accounts import AccountsMode
from kira.domain.errors import WrongSetting
from kira.domain.limits import DEFAULTS
from kira.local.settings import OFF_ALONE, data_folder, read


def test_what_nobody_set_is_as_documented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = read()
    assert settings.data == data_folder() == tmp_path / "kira"
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.ollama == ("http://127.0.0.1:11434",)
    assert settings.accounts is AccountsMode.OFF
    assert settings.model_fields_set == set()


def test_the_command_line_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIRA_PORT", "9000")
    monkeypatch.setenv("KIRA_HOST", "0.0.0.0")
    settings = read(port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "0.0.0.0")


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIRA_MODEL", "")
    monkeypatch.setenv("KIRA_PORT", "")
    assert (read().model, read().port) == (None, 8080)


def test_several_addresses_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIRA_OLLAMA", "http://10.0.0.1:11434/, https://gpu.example.org")
    assert read().ollama == ("http://10.0.0.1:11434", "https://gpu.example.org")


def test_ollama_s_own_parallelism_is_read_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "4")
    assert read().ollama_num_parallel == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("slots", "x"),
        ("accounts", "maybe"),
        ("ollama", "ftp://x"),
        ("context", "1"),
        ("grace_s", "-1"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KIRA_{name.upper()}", value)
    with pytest.raises(WrongSetting, match=f"^KIRA_{name.upper()} is .*{value}") as found:
        read()
    assert "\n" not in found.value.message
    assert found.value.message.endswith(".")


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_a_wrong_limit_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KIRA_LIMIT_{name.upper()}", "10 a day")
    with pytest.raises(WrongSetting, match=f"KIRA_LIMIT_{name.upper()}"):
        read()


def test_secrets_are_not_printed() -> None:
    settings = read(master_key="a secret key that nobody sees", password="open sesame")
    assert "secret" not in repr(settings)
    assert "sesame" not in repr(settings)


def test_limits_are_off_for_one_user_unless_they_are_set() -> None:
    alone = read().limits(alone=True)
    assert set(alone) == set(DEFAULTS) - OFF_ALONE
    many = read().limits(alone=False)
    assert set(many) == set(DEFAULTS)
    given = read(limit_api="7/2s", limit_widget="off")
    assert given.limits(alone=True)["api"].count == 7
    assert "widget" not in given.limits(alone=False)
