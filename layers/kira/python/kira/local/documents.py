"""Writes docs/settings.md and docs/limits.md from the code; a test fails when they differ from it.

Run it as `python -m kira.local.documents` in a checkout.
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Any

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from kira.domain import limits
from kira.domain.limits import DEFAULTS, Limit
from kira.domain.moments import MINUTE
from kira.local.remote_settings import RemoteSettings
from kira.local.settings import OFF_ALONE, LocalSettings

DOCS = Path(__file__).resolve().parents[5] / "docs"

SETTINGS_HEAD = """\
# Settings

<!-- Written by `python -m kira.local.documents` from local/settings.py; change it there. -->

Kira reads its settings from the environment when it starts. A value that it cannot use stops the start with a
sentence that names the setting. Those that `kira up --help` lists can also be given as options, which count first.
`kira doctor` says which ones are given and what they lead to.

| setting | default | meaning |
|---|---|---|
"""

SETTINGS_TAIL = """
A limit is `off` or a count over a period: `60/1m`, `100/1h`, `20/30s`, `500/1d`. In the single-user mode these are
off unless they are set: {alone}.
"""

LIMITS_HEAD = """\
# Limits

<!-- Written by `python -m kira.local.documents` from domain/limits.py; change it there. -->

Every number that bounds Kira. The first table is counted per user and can be set; a refusal says which limit it
was, when to try again (also in `Retry-After`), and changes nothing. The rest is fixed: what is refused because of
it is refused at the door, with a sentence.

## Counted, per user

| limit | default | setting | counts |
|---|---|---|---|
"""

COUNTED = {
    "api": "requests to the API",
    "conversation": "messages sent and answers asked for again",
    "subagent": "tasks that an agent gives to another; this version has no agents yet",
    "widget": "refreshes of widgets",
}

ATTEMPTS = {
    "SIGN_IN_PER_ACCOUNT": "failed sign-ins to one account, from anywhere",
    "SIGN_IN_PER_ADDRESS": "failed sign-ins from one network address",
    "SIGN_UP_PER_ADDRESS": "new accounts from one network address",
}

FIXED = {
    "MESSAGE_BYTES_MAX": "a message",
    "BODY_BYTES_MAX": "the body of a request",
    "TITLE_CHARACTERS_MAX": "a title of a conversation or widget",
    "NAME_CHARACTERS_MAX": "a user's name",
    "EMAIL_CHARACTERS_MAX": "an e-mail address",
    "PASSWORD_CHARACTERS_MIN": "the shortest password; length is the only rule",
    "PASSWORD_CHARACTERS_MAX": "a password",
    "SYSTEM_PROMPT_CHARACTERS_MAX": "a user's system prompt",
    "SEARCH_CHARACTERS_MAX": "what is searched for",
    "SEARCH_TERMS_MAX": "words in one search",
    "IDEMPOTENCY_KEY_CHARACTERS_MAX": "the header Idempotency-Key",
    "MODEL_NAME_CHARACTERS_MAX": "the name of a model",
    "DEVICE_CHARACTERS_MAX": "the name of a device in the list of sessions",
    "PAGE_ITEMS_DEFAULT": "items in a page of a list, when nobody says how many",
    "PAGE_ITEMS_MAX": "items in a page of a list",
    "CONTEXT_MESSAGES_MAX": "the last messages of a branch that a model reads",
    "RUNS_WAITING_PER_USER_MAX": "waiting runs of one user; the next is refused",
    "RUNS_WAITING_MAX": "waiting runs of all users; the next is refused",
    "RUN_SECONDS_MAX": "how long a run may go",
    "RUN_ATTEMPTS_MAX": "how often a run is begun before it has failed",
    "ANSWER_TOKENS_MAX": "an answer, as the model counts",
    "ANSWER_BYTES_MAX": "an answer, as it is stored",
    "LEASE_SECONDS": "how long a worker that says nothing keeps a run",
    "LEASE_RENEWAL_SECONDS": "how often a worker says that it still works on a run",
    "WORKER_TELLS_SECONDS": "how often a worker says what it serves",
    "WORKER_SILENCE_SECONDS": "after which silence a worker is taken for gone",
    "MODEL_MISSED_SECONDS": "how long a run waits for a model that no worker of several has, before it has failed",
    "HOLD_BACK_SECONDS": "how long a run waits for a worker that has its model loaded, before another loads it",
    "CANCEL_POLL_SECONDS": "how often a worker looks for cancelled runs of other processes",
    "PLACES_SECONDS": "how often places in line are told",
    "RECOVERY_SECONDS": "how often runs of lost workers are looked for",
    "DRAIN_SECONDS": "how long running answers may take when Kira stops (`KIRA_GRACE_S`)",
    "HINTS_AT_ONCE_MAX": "hints that one call to SQS sends, receives or deletes",
    "HINT_POLL_SECONDS": "how long one call to SQS waits for hints, and so how long a stop may wait for it",
    "HINT_VISIBLE_SECONDS": "how long a hint of SQS is kept from other workers when its own says nothing more",
    "HINT_PUT_OFF_SECONDS": "when a hint of SQS comes again that a worker could do nothing with while runs wait",
    "HINT_LOST_SECONDS": "how long a run waits before its hint in SQS counts as lost",
    "HINT_LOOK_SECONDS": "how often a worker with SQS looks at the table without a hint",
    "ROUND_SECONDS": "how long after a round of the clock the next one is made while there are runs, with SQS",
    "SWEEP_SECONDS": "how often expired sessions, invitations and attempts are forgotten",
    "UNREADY_SECONDS": "how long a stopping instance behind a proxy still answers, so that the proxy sees it",
    "SLOTS_PROBED_MAX": "the most slots that are looked for on a model server",
    "FIRST_TOKEN_SECONDS_MAX": "how long a model server may take to its first token, loading included",
    "TOKEN_GAP_SECONDS_MAX": "how long a model server may be silent within an answer",
    "HOSTED_SLOTS": "runs at once at a hosted provider, when nobody says how many (`KIRA_HOSTED_SLOTS`)",
    "HOSTED_RUN_SECONDS_MAX": "how long a run of a hosted model may go in a function on AWS",
    "BATCH_BEGIN_SECONDS": "how much time such a function must have left to begin another run",
    "BATCH_END_SECONDS": "how long before its end it hands back what is not done",
    "MODEL_CHANGE_SECONDS": "how long a run waits for a model that is not loaded before the busy server makes room",
    "SERVER_LOOK_SECONDS": "how often a model server that works is looked at",
    "STREAMS_PER_USER_MAX": "open event streams of one user at one instance",
    "STREAMS_PER_USER_APART_MAX": "the same on AWS, where each takes an environment of its own; the oldest breaks off",
    "CONNECTIONS_WAITING_MAX": "connections that wait to be accepted",
    "SESSION_LOOK_SECONDS": "time after which an open event stream asks whether its session still lives",
    "STREAM_PING_SECONDS": "silence in an event stream before a sign of life",
    "STREAM_KEPT_SECONDS": "how long the events of an ended run can be read again",
    "DELTA_MILLISECONDS": "how long pieces of an answer are gathered before they are sent",
    "WIDGETS_PER_USER_MAX": "widgets of one user",
    "NOTE_CHARACTERS_MAX": "the text of a note",
    "WIDGET_FRESH_SECONDS": "how long the content of a widget is fresh, so that a refresh costs nothing",
    "ACCESS_TOKEN_SECONDS": "how long an access token works",
    "SESSION_SECONDS": "how long a session lives after it was last refreshed",
    "INVITATION_SECONDS": "how long an invitation works",
    "TOKEN_CHARACTERS_MAX": "a token that is sent to Kira",
    "PASSWORD_CHECKS_AT_ONCE_MAX": "passwords that are checked at the same time, since each takes memory and a core",
    "PASSWORD_CHECKS_WAITING_MAX": "passwords that wait to be checked; the next is refused",
    "DATABASE_WAITING_MAX": "calls that wait for the database; the next is refused",
    "COMMITS_TOGETHER_MAX": "changes that share one commit",
    "TRANSACTION_SECONDS_MAX": "how long a transaction may stay open",
    "DATABASE_CONNECTIONS_MAX": "connections of one process to PostgreSQL",
    "DATABASE_CONNECTIONS_MIN": "connections that a process keeps open",
    "DATABASE_CONNECT_SECONDS_MAX": "how long PostgreSQL may take to answer a connection",
    "DATABASE_POOL_SECONDS_MAX": "how long a statement waits for a connection",
    "STATEMENT_SECONDS_MAX": "a statement in PostgreSQL",
    "LOCK_SECONDS_MAX": "how long a statement in PostgreSQL waits for a lock",
    "REPLICA_SECONDS_MAX": "how long a replica may take to answer before the primary does",
    "REPLICA_LAG_SECONDS_MAX": "how far a replica may lag and still be asked",
    "REPLICA_LOOK_SECONDS": "how often a replica is looked at",
    "SNAPSHOTS_KEPT_MAX": "snapshots that upgrades leave behind; the oldest goes",
    "OBJECT_NAME_CHARACTERS_MAX": "the name of an object",
    "OBJECT_ACCESS_SECONDS": "how long credentials for one user's objects are used before new ones are asked for",
    "OBJECT_ADDRESS_SECONDS": "how long an address for an upload or a download counts",
    "OBJECT_USERS_KEPT_MAX": "users whose credentials for objects one process keeps",
    "MAIL_SECONDS_MAX": "how long a mail server may take to answer",
    "AWS_SECONDS_MAX": "how long a service of AWS may take to answer a small question",
    "DATABASE_WAKE_SECONDS": "how long a function waits for a database that sleeps while nobody asks",
    "DATABASE_CONNECTIONS_PER_FUNCTION": "connections of one function to PostgreSQL",
    "FUNCTION_ANSWER_SECONDS": "how long before its end a function answers that it took too long",
    "BACKUPS_KEPT": "backups that were made by themselves (`KIRA_BACKUP_KEEP`)",
    "BACKUP_LOOK_SECONDS": "how often Kira looks whether a backup is due",
    "BACKUP_RETRY_SECONDS": "how long after a failed backup it is tried again",
    "JOURNAL_BYTES_MUCH": "a journal of SQLite's that `kira doctor` warns of",
    "BACKUP_PART_BYTES": "a part in which a backup goes to or comes from S3",
    "BACKUP_PARTS_MAX": "parts of one backup; a larger one has larger parts",
    "BACKUP_REQUEST_SECONDS_MAX": "how long one request to S3 may take",
}

UNITS = ("BYTES", "CHARACTERS", "SECONDS", "MILLISECONDS", "TOKENS", "ITEMS", "MESSAGES")


def settings_page() -> str:
    """Return docs/settings.md."""
    fields = sorted(LocalSettings.model_fields.items(), key=lambda each: each[0] in RemoteSettings.model_fields)
    rows = [_setting(name, field) for name, field in fields]
    alone = ", ".join(f"`KIRA_LIMIT_{name.upper()}`" for name in DEFAULTS if name in OFF_ALONE)
    return SETTINGS_HEAD + "\n".join(rows) + "\n" + SETTINGS_TAIL.format(alone=alone)


def limits_page() -> str:
    """Return docs/limits.md."""
    lines = [
        f"| `{name}` | {text} | `KIRA_LIMIT_{name.upper()}` | {COUNTED[name]} |" for name, text in DEFAULTS.items()
    ]
    lines += ["", "## Counted, of guests", "", "| limit | value | counts |", "|---|---|---|"]
    for name, meaning in ATTEMPTS.items():
        limit: Limit = getattr(limits, name)
        lines.append(f"| `{name}` | {limit.count} in {limit.period // MINUTE} minutes | {meaning} |")
    lines += ["", "## Fixed", "", "| limit | value | bounds |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {getattr(limits, name):,} {_unit(name)}".rstrip() + f" | {FIXED[name]} |" for name in numbers()
    ]
    return LIMITS_HEAD + "\n".join(lines) + "\n"


def numbers() -> list[str]:
    """Return the names of the fixed limits, in the order of domain/limits.py."""
    return [name for name, value in vars(limits).items() if _is_fixed(name, value)]


def _is_fixed(name: str, value: object) -> bool:
    # What domain/limits.py imports to count in is no limit.
    return re.fullmatch(r"[A-Z][A-Z_]+_[A-Z_]+", name) is not None and isinstance(value, int | float)


def _unit(name: str) -> str:
    return next((unit.lower() for unit in UNITS if unit in name.split("_")), "")


def _setting(name: str, field: FieldInfo) -> str:
    variable = field.validation_alias if isinstance(field.validation_alias, str) else f"KIRA_{name.upper()}"
    default = f"`{DEFAULTS[name.removeprefix('limit_')]}`" if name.startswith("limit_") else _default(field)
    meaning = (field.description or "") + _range(field)
    return f"| `{variable}` | {default} | {meaning} |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the platform's folder for data"
    value: Any = field.default
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _range(field: FieldInfo) -> str:
    low = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    high = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    if low is None:
        return ""
    return f" {low:,} to {high:,}." if high is not None else f" At least {low:,}."


def main() -> None:
    """Write both pages."""
    DOCS.mkdir(exist_ok=True)
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    (DOCS / "limits.md").write_text(limits_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
