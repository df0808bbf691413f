"""What each port needs of AWS: the variables it reads and the calls it makes. No other file names an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Condition = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Grant:
    """Calls that are allowed on one thing; `on` is its name in `Things` or "*" where AWS knows no smaller place."""

    actions: tuple[str, ...]
    on: str
    condition: Condition = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """One port as AWS sees it."""

    environment: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()


SECRET = ("secretsmanager:GetSecretValue",)
DATABASE = (
    "KIRA_DATABASE_CA",
    "KIRA_DATABASE_HOST",
    "KIRA_DATABASE_NAME",
    "KIRA_DATABASE_PORT",
    "KIRA_DATABASE_SECRET",
    "KIRA_DATABASE_USER",
)

EVERY_FUNCTION = Port(
    ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "AWS_USE_DUALSTACK_ENDPOINT"),
    (
        Grant(("logs:CreateLogStream", "logs:PutLogEvents"), "log_group"),
        Grant(("xray:PutTelemetryRecords", "xray:PutTraceSegments"), "*"),
        # Lambda puts the function's network card into the VPC with the function's own role.
        Grant(
            (
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:UnassignPrivateIpAddresses",
            ),
            "*",
        ),
    ),
)

PORTS: dict[str, Port] = {
    "database": Port(
        DATABASE,
        (Grant(SECRET, "database_secret"),),
    ),
    # Instead of `database` where nobody has a password.
    "database_by_iam": Port(
        DATABASE,
        (Grant(("rds-db:connect",), "database_user"),),
    ),
    "schema": Port(("KIRA_DATABASE_OWNER_SECRET",), (Grant(SECRET, "database_owner_secret"),)),
    "vault": Port(("KIRA_MASTER_KEY_SECRET",), (Grant(SECRET, "master_key_secret"),)),
    # A sealed secret opens only for the user whose id is its encryption context; no context, no call.
    "seal": Port(
        ("KIRA_KEY",),
        (Grant(("kms:Decrypt", "kms:GenerateDataKey"), "key", {"Null": {"kms:EncryptionContext:user": "false"}}),),
    ),
    "queue": Port(("KIRA_QUEUE", "KIRA_QUEUE_HOSTED"), (Grant(("sqs:SendMessage",), "queues"),)),
    # How many hints there are, so that those that were lost are sent again.
    "count": Port((), (Grant(("sqs:GetQueueAttributes",), "queues"),)),
    "work": Port(
        (),
        (
            Grant(
                ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
                "queue_hosted",
            ),
        ),
    ),
    "stream": Port(("KIRA_STREAM",)),
    "objects": Port(("KIRA_BUCKET", "KIRA_USER_ROLE"), (Grant(("sts:AssumeRole", "sts:TagSession"), "user_role"),)),
    "mail": Port(("KIRA_MAIL_FROM",), (Grant(("ses:SendEmail",), "mail_identity"),)),
    "alarm": Port(
        ("KIRA_ALARM_GROUP", "KIRA_ALARM_ROLE", "KIRA_ALARM_TARGET"),
        (
            # A schedule deletes itself, and none is ever changed.
            Grant(("scheduler:CreateSchedule",), "schedules"),
            Grant(
                ("iam:PassRole",), "alarm_role", {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
            ),
        ),
    ),
    "models": Port(("KIRA_MODEL",)),
    "hosted_models": Port(("KIRA_HOSTED", "KIRA_HOSTED_MODELS")),
    "engine": Port(("KIRA_HOSTED", "KIRA_HOSTED_MODELS", "KIRA_HOSTED_SECRET"), (Grant(SECRET, "hosted_secret"),)),
    "origin": Port(("KIRA_ORIGIN_SECRET",), (Grant(SECRET, "origin_secret"),)),
    "accounts": Port(("KIRA_ACCOUNTS",)),
}
