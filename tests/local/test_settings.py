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
        ("backup", "ftp://somewhere"),
        ("backup", "s3://"),
        ("queue", "tables"),
        ("queue_hosted", "table"),
        ("backup_every", "daily"),
        ("backup_every", "0h"),
        ("backup_keep", "0"),
        ("checkpoints", "maybe"),
        ("s3_endpoint", "s3.example.org"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KIRA_{name.upper()}", value)
    with pytest.raises(WrongSetting, match=f"^KIRA_{name.upper()} is .*{value}") as found:
        read()
    assert "\n" not in found.value.message
    assert found.value.message.endswith(".")


@pytest.mark.parametrize("database", ["sqlite", "embedded", "postgresql://kira_app:sesame@primary/kira"])
@pytest.mark.parametrize("read_from", ["replica.example.org", "postgresql://kira_app:sesame@replica/kira"])
def test_a_replica_is_of_a_server(database: str, read_from: str) -> None:
    if "://" in database and "://" in read_from:
        assert "sesame" not in repr(read(database=database, database_read=read_from))
        return
    with pytest.raises(WrongSetting, match=r"^KIRA_DATABASE_READ.*: ") as found:
        read(database=database, database_read=read_from)
    assert "sesame" not in found.value.message


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_a_wrong_limit_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KIRA_LIMIT_{name.upper()}", "10 a day")
    with pytest.raises(WrongSetting, match=f"KIRA_LIMIT_{name.upper()}"):
        read()


def test_secrets_are_not_printed() -> None:
    settings = read(master_key="a secret key that nobody sees", password="open sesame")
    assert "secret" not in repr(settings)
    assert "sesame" not in repr(settings)


@pytest.mark.parametrize("value", ["kafka", "http://user:sesame@10.0.0.1", "Redis"])
def test_a_wrong_stream_is_named_and_not_printed(value: str) -> None:
    with pytest.raises(WrongSetting, match=r"^KIRA_STREAM.*: .*redis://") as found:
        read(stream=value)
    assert "sesame" not in found.value.message
    assert "sesame" not in repr(read(stream="redis://:sesame@10.0.0.1:6379"))


def test_limits_are_off_for_one_user_unless_they_are_set() -> None:
    alone = read().limits(alone=True)
    assert set(alone) == set(DEFAULTS) - OFF_ALONE
    many = read().limits(alone=False)
    assert set(many) == set(DEFAULTS)
    given = read(limit_api="7/2s", limit_widget="off")
    assert given.limits(alone=True)["api"].count == 7
    assert "widget" not in given.limits(alone=False)


@pytest.mark.parametrize(
    ("text", "seconds"), [("off", None), ("90s", 90), ("30m", 1_800), ("6h", 21_600), ("1d", 86_400)]
)
def test_a_period_is_a_number_and_a_unit(text: str, seconds: int | None) -> None:
    assert read(backup_every=text).backup_every == seconds


@pytest.mark.parametrize("database", ["embedded", "postgresql://kira_app:a-secret@127.0.0.1/kira"])
def test_what_is_only_done_to_a_file_is_refused_on_a_server(database: str) -> None:
    for name, value in (("backup_every", "1d"), ("checkpoints", "litestream")):
        with pytest.raises(WrongSetting, match=f"^KIRA_{name.upper()} works on the SQLite file") as found:
            read(database=database, **{name: value})
        assert "a-secret" not in found.value.message
    assert read(database=database, backup_every="off").backup_every is None
