"""The environment of a function on AWS: read once, refused when wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from kira.domain.accounts import AccountsMode
from kira.domain.errors import WrongSetting
from kira.domain.limits import DEFAULTS, Limit, parse_limit

CA_BUNDLE = "/etc/pki/tls/certs/ca-bundle.crt"
"""Where the runtime of Lambda keeps the certificates that it trusts."""

STREAMS = ("table", "redis://", "rediss://")
ARN, WEB = ("arn:",), ("https://", "http://")


def _told(description: str, begins: tuple[str, ...] = (), variable: str | None = None) -> dict[str, Any]:
    return {"description": description, "begins": begins, "variable": variable}


def _of(default: Any, description: str, *, begins: tuple[str, ...] = (), variable: str | None = None) -> Any:
    return field(default=default, metadata=_told(description, begins, variable), repr=False)


ACCOUNTS = _told("`invite`: accounts by invitation, the first one without; `open`: anyone may sign up.")


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Every setting of a function on AWS; what CDK sets. An empty one is none."""

    # A dataclass: functions that serve no HTTP do without pydantic.
    database_host: str = _of("", "Host of Aurora's writer, or a folder with a socket.")
    database_port: int = _of(5432, "Port of the database.")
    database_name: str = _of("kira", "Name of the database.")
    database_user: str = _of("kira_app", "Role that signs in to the database.")
    database_secret: str = _of(
        "", "ARN of the secret with the role's password; none: a token of IAM for each connection.", begins=ARN
    )
    database_owner_secret: str = _of(
        "", "ARN of the secret of the cluster's superuser; only for `migrate`.", begins=ARN
    )
    database_ca: str = _of(CA_BUNDLE, "File of the authorities that may have signed the database's certificate.")
    master_key_secret: str = _of("", "ARN of the secret with the master key.", begins=ARN)
    origin_secret: str = _of(
        "",
        "ARN of the secret that CloudFront sends along in `x-kira-origin`; only then it is believed about who asks.",
        begins=ARN,
    )
    key: str = _of("", "ARN of the KMS key that seals users' secrets.", begins=ARN)
    queue: str = _of("", "URL of the queue of runs for the fleet.", begins=WEB)
    queue_hosted: str = _of("", "URL of the queue of runs for hosted models.", begins=WEB)
    bucket: str = _of("", "Bucket of users' objects.")
    user_role: str = _of("", "ARN of the role that is put on for one user, with the session tag `user`.", begins=ARN)
    alarm_group: str = _of("", "Group of EventBridge Scheduler in which the one alarm stands.")
    alarm_target: str = _of("", "ARN of the function that the alarm calls.", begins=ARN)
    alarm_role: str = _of("", "ARN of the role with which the alarm calls it.", begins=ARN)
    mail_from: str = _of("", "Sender of letters, known to SES; none: no mail.")
    stream: str = _of("table", "How words get from worker to reader: `table` or `rediss://...`.", begins=STREAMS)
    model: str = _of("", "Model of those who chose none while no worker is there to tell.")
    hosted: str = _of("", "Address of an OpenAI-compatible provider, such as https://api.example.org/v1.", begins=WEB)
    hosted_secret: str = _of("", "ARN of the secret with the provider's key.", begins=ARN)
    hosted_models: tuple[str, ...] = _of((), "The provider's models, separated by commas.")
    hosted_slots: int = _of(8, "Most runs at once at the provider, of each function.")
    accounts: AccountsMode = field(default=AccountsMode.INVITE, metadata=ACCOUNTS)
    limit_api: str = _of(DEFAULTS["api"], "Requests of a user: `off` or count/period.")
    limit_conversation: str = _of(DEFAULTS["conversation"], "Messages of a user: `off` or count/period.")
    limit_subagent: str = _of(DEFAULTS["subagent"], "Sub-agents of a user: `off` or count/period.")
    limit_widget: str = _of(DEFAULTS["widget"], "Widget refreshes of a user: `off` or count/period.")
    function: str = _of("kira", "Name in logs, metrics and the database.", variable="POWERTOOLS_SERVICE_NAME")
    namespace: str = _of("Kira", "Where metrics stand.", variable="POWERTOOLS_METRICS_NAMESPACE")
    region: str = _of("us-east-1", "Set by Lambda.", variable="AWS_REGION")
    endpoint: str = _of("", "Where AWS is, if not at its own addresses.", begins=WEB, variable="AWS_ENDPOINT_URL")
    dual_stack: str = _of("", "`true`: services are asked over IPv6 too.", variable="AWS_USE_DUALSTACK_ENDPOINT")
    key_id: str = _of("", "Set by Lambda.", variable="AWS_ACCESS_KEY_ID")
    key_secret: str = _of("", "Set by Lambda.", variable="AWS_SECRET_ACCESS_KEY")
    key_token: str = _of("", "Set by Lambda.", variable="AWS_SESSION_TOKEN")
    xray: str = _of("", "Set by Lambda; where traces go.", variable="AWS_XRAY_DAEMON_ADDRESS")
    untraced: str = _of("", "`true`: no traces.", variable="POWERTOOLS_TRACE_DISABLED")

    def __post_init__(self) -> None:
        """Refuse limits that cannot be read."""
        _ = self.limits

    @property
    def limits(self) -> dict[str, Limit]:
        """The limits that are on."""
        found = {name: parse_limit(name, getattr(self, f"limit_{name}")) for name in DEFAULTS}
        return {name: limit for name, limit in found.items() if limit is not None}

    @property
    def traces(self) -> bool:
        """Say whether there is somebody to send traces to."""
        return bool(self.xray) and not _is_on(self.untraced)

    @property
    def reaches_dual_stack(self) -> bool:
        """Say whether services have addresses of both kinds."""
        return _is_on(self.dual_stack)

    def need(self, *names: str) -> None:
        """Raise WrongSetting when one of the settings `names` is missing."""
        for name in names:
            if not getattr(self, name):
                raise WrongSetting(
                    f"{variable(name)} is missing. {described(name)['description']} Give it to this function."
                )


def read(environment: Mapping[str, str] | None = None) -> CloudSettings:
    """Read the environment of this process. Raises WrongSetting with a sentence that names the setting."""
    given = os.environ if environment is None else environment
    found: dict[str, Any] = {}
    for each in fields(CloudSettings):
        if text := given.get(variable(each.name), "").strip():
            found[each.name] = _read(each.name, each.default, text)
    return CloudSettings(**found)


def variable(name: str) -> str:
    """Return the environment variable of the setting `name`."""
    return str(described(name)["variable"] or f"KIRA_{name.upper()}")


def _is_on(text: str) -> bool:
    return text.lower() in ("1", "true", "yes", "on")


def _read(name: str, default: object, text: str) -> object:
    begins = described(name)["begins"]
    if begins and not text.startswith(begins):
        raise _wrong(name, text, f"write something that begins with {' or '.join(begins)}")
    if isinstance(default, AccountsMode):
        if text not in ("invite", "open"):
            raise _wrong(name, text, "write invite or open; on AWS everybody needs an account")
        return AccountsMode(text)
    if isinstance(default, int):
        if not text.isdecimal() or not 1 <= int(text) <= 65_535:
            raise _wrong(name, text, "write a whole number from 1 to 65535")
        return int(text)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _wrong(name: str, text: str, told: str) -> WrongSetting:
    shown = "" if name in ("stream", "hosted") else f" is {text!r}"
    return WrongSetting(f"{variable(name)}{shown}: {told}.")


def described(name: str) -> Mapping[str, Any]:
    """Return what is told of the setting `name`."""
    return next(each.metadata for each in fields(CloudSettings) if each.name == name)
