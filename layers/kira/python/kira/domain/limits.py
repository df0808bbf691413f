"""Every number that bounds Kira, with its unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kira.domain.errors import WrongSetting
from kira.domain.moments import DAY, HOUR, MINUTE, SECOND

MESSAGE_BYTES_MAX = 1_000_000
BODY_BYTES_MAX = 2_000_000
TITLE_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 100
EMAIL_CHARACTERS_MAX = 254  # RFC 5321 4.5.3.1.3
PASSWORD_CHARACTERS_MIN = 8
PASSWORD_CHARACTERS_MAX = 256
SYSTEM_PROMPT_CHARACTERS_MAX = 20_000
SEARCH_CHARACTERS_MAX = 400
SEARCH_TERMS_MAX = 20
IDEMPOTENCY_KEY_CHARACTERS_MAX = 200
MODEL_NAME_CHARACTERS_MAX = 200
DEVICE_CHARACTERS_MAX = 120
PAGE_ITEMS_DEFAULT = 50
PAGE_ITEMS_MAX = 200
CONTEXT_MESSAGES_MAX = 50

RUNS_WAITING_PER_USER_MAX = 50
RUNS_WAITING_MAX = 10_000
RUN_SECONDS_MAX = 3_600
RUN_ATTEMPTS_MAX = 4
ANSWER_TOKENS_MAX = 8_192
ANSWER_BYTES_MAX = 1_000_000
LEASE_SECONDS = 30
LEASE_RENEWAL_SECONDS = 8
WORKER_TELLS_SECONDS = 5
WORKER_SILENCE_SECONDS = 20  # after this a worker is taken for gone, and another leads
MODEL_MISSED_SECONDS = 60  # a worker that restarts takes its models away for a moment
HOLD_BACK_SECONDS = 5
CANCEL_POLL_SECONDS = 0.5
PLACES_SECONDS = 0.5
RECOVERY_SECONDS = 10
DRAIN_SECONDS = 20
HINTS_AT_ONCE_MAX = 10  # of SQS, in one call
HINT_POLL_SECONDS = 5
HINT_VISIBLE_SECONDS = 60
HINT_PUT_OFF_SECONDS = 2
HINT_LOST_SECONDS = 60
HINT_LOOK_SECONDS = 60
ROUND_SECONDS = 60
SWEEP_SECONDS = 3_600
UNREADY_SECONDS = 3  # proxies ask every second whether an instance is ready
SLOTS_PROBED_MAX = 16
FIRST_TOKEN_SECONDS_MAX = 360  # Ollama itself gives up loading a model after 300
TOKEN_GAP_SECONDS_MAX = 60
HOSTED_SLOTS = 8
HOSTED_RUN_SECONDS_MAX = 600  # of the 900 that a function on AWS may take
BATCH_BEGIN_SECONDS = 60
BATCH_END_SECONDS = 20
MODEL_CHANGE_SECONDS = 20
SERVER_LOOK_SECONDS = 30
STREAMS_PER_USER_MAX = 100
STREAMS_PER_USER_APART_MAX = 10
CONNECTIONS_WAITING_MAX = 2_048
STREAM_PING_SECONDS = 10
SESSION_LOOK_SECONDS = 5
STREAM_KEPT_SECONDS = 120
DELTA_MILLISECONDS = 30
WIDGETS_PER_USER_MAX = 50
NOTE_CHARACTERS_MAX = 20_000
WIDGET_FRESH_SECONDS = 2

ACCESS_TOKEN_SECONDS = 15 * 60
SESSION_SECONDS = 30 * 24 * 3600
INVITATION_SECONDS = 7 * 24 * 3600
TOKEN_CHARACTERS_MAX = 200
PASSWORD_CHECKS_AT_ONCE_MAX = 2
PASSWORD_CHECKS_WAITING_MAX = 200

DATABASE_WAITING_MAX = 10_000
COMMITS_TOGETHER_MAX = 64
TRANSACTION_SECONDS_MAX = 10
DATABASE_CONNECTIONS_MAX = 10  # of each process; a server allows 100 in all unless it was told otherwise
DATABASE_CONNECTIONS_MIN = 2
DATABASE_CONNECT_SECONDS_MAX = 5
DATABASE_POOL_SECONDS_MAX = 10
STATEMENT_SECONDS_MAX = 30
LOCK_SECONDS_MAX = 8
REPLICA_SECONDS_MAX = 2
REPLICA_LAG_SECONDS_MAX = 5
REPLICA_LOOK_SECONDS = 10
SNAPSHOTS_KEPT_MAX = 3

OBJECT_NAME_CHARACTERS_MAX = 400
OBJECT_ACCESS_SECONDS = 50 * 60
OBJECT_ADDRESS_SECONDS = 15 * 60
OBJECT_USERS_KEPT_MAX = 200
MAIL_SECONDS_MAX = 10

AWS_SECONDS_MAX = 5
DATABASE_WAKE_SECONDS = 20  # Aurora resumes in about 15; the gateway gives up after 29
DATABASE_CONNECTIONS_PER_FUNCTION = 2  # one request at a time, and what it does beside
FUNCTION_ANSWER_SECONDS = 2

BACKUPS_KEPT = 7
BACKUP_LOOK_SECONDS = 30
BACKUP_RETRY_SECONDS = 600
JOURNAL_BYTES_MUCH = 256_000_000
BACKUP_PART_BYTES = 8_388_608
BACKUP_PARTS_MAX = 9_000  # of the 10,000 that S3 allows
BACKUP_REQUEST_SECONDS_MAX = 300

_PERIODS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in any `period` (microseconds), by the generic cell rate algorithm."""

    name: str
    count: int
    period: int

    @property
    def interval(self) -> int:
        """Microseconds that one admission costs (T of GCRA; ITU-T I.371)."""
        return self.period // self.count

    @property
    def tolerance(self) -> int:
        """Microseconds that admissions may run ahead (tau of GCRA): a burst of the whole count."""
        return self.interval * (self.count - 1)

    def wait_s(self, arrival: int, now: int) -> float:
        """Return the true wait in seconds when the stored arrival time is `arrival` (microseconds)."""
        return max(0.0, (arrival - self.tolerance - now) / SECOND)


SIGN_IN_PER_ACCOUNT = Limit("sign-in", 10, 10 * MINUTE)
SIGN_IN_PER_ADDRESS = Limit("sign-in", 50, 10 * MINUTE)
SIGN_UP_PER_ADDRESS = Limit("sign-up", 20, HOUR)

DEFAULTS = {"api": "60/1m", "conversation": "100/1h", "subagent": "20/1h", "widget": "30/1m"}


def parse_period(text: str) -> int | None:
    """Read `off` or a period such as `6h`: None, or its length in microseconds, 0 when it is neither."""
    if text.strip().lower() == "off":
        return None
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*([smhd])\s*", text)
    return int(found[1]) * _PERIODS[found[2]] if found else 0


def parse_limit(name: str, text: str) -> Limit | None:
    """Read `off` or `count/period` such as `100/1h`.

    Returns None for `off`. Raises WrongSetting with the setting's name.
    """
    if text.strip().lower() == "off":
        return None
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{0,6})\s*([smhd])\s*", text)
    if not found or int(found[1]) < 1 or found[2] == "0":
        raise WrongSetting(f"KIRA_LIMIT_{name.upper()} is {text!r}; write off or count/period, such as 100/1h.")
    return Limit(name, int(found[1]), int(found[2] or 1) * _PERIODS[found[3]])
