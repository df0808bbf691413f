"""The environment of a function is read once, and a wrong value is told in one sentence that names it."""

from __future__ import annotations

import pytest

from kira.cloud.settings import CloudSettings, read
from kira.domain.accounts import AccountsMode
from kira.domain.errors import WrongSetting


def test_nothing_set_is_what_is_documented() -> None:
    settings = read({})
    assert settings == CloudSettings()
    assert settings.accounts is AccountsMode.INVITE
    assert set(settings.limits) == {"api", "conversation", "subagent", "widget"}
    assert not settings.traces


def test_what_is_set_is_read() -> None:
    given = {
        "KIRA_DATABASE_PORT": "6432",
        "KIRA_HOSTED_MODELS": "red, blue,",
        "KIRA_LIMIT_API": "off",
        "KIRA_ACCOUNTS": "open",
        "KIRA_MODEL": "  ",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    }
    settings = read(given)
    assert settings.database_port == 6432
    assert settings.hosted_models == ("red", "blue")
    assert "api" not in settings.limits
    assert settings.accounts is AccountsMode.OPEN
    assert settings.model == ""
    assert settings.traces
    assert not read(given | {"POWERTOOLS_TRACE_DISABLED": "true"}).traces


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KIRA_DATABASE_PORT", "none", "KIRA_DATABASE_PORT is 'none': write a whole number"),
        ("KIRA_DATABASE_PORT", "70000", "KIRA_DATABASE_PORT"),
        ("KIRA_DATABASE_SECRET", "hunter2", "KIRA_DATABASE_SECRET is 'hunter2': write something that begins with arn:"),
        ("KIRA_ACCOUNTS", "off", "KIRA_ACCOUNTS is 'off': write invite or open; on AWS everybody needs an account."),
        ("KIRA_STREAM", "process", "KIRA_STREAM: write something that begins with table or redis"),
        ("KIRA_LIMIT_API", "many", "KIRA_LIMIT_API is 'many'"),
        ("KIRA_QUEUE", "sqs", "KIRA_QUEUE"),
    ],
)
def test_what_cannot_be_used_is_told(name: str, value: str, told: str) -> None:
    with pytest.raises(WrongSetting, match=told):
        read({name: value})


def test_what_is_missing_is_told() -> None:
    with pytest.raises(WrongSetting, match=r"^KIRA_KEY is missing\. .*\. Give it to this function\.$"):
        read({"KIRA_QUEUE": "https://sqs.us-east-1.amazonaws.com/1/x"}).need("queue", "key")


def test_secrets_are_not_shown() -> None:
    settings = read({"AWS_SECRET_ACCESS_KEY": "hunter2", "KIRA_STREAM": "rediss://:hunter2@host"})
    assert "hunter2" not in repr(settings)
