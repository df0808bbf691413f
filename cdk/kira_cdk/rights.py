"""What each function may do and what it is told, derived from the table; nothing else gives a function a right."""

from __future__ import annotations

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs

from kira_cdk.config import Config
from kira_cdk.data import DATABASE, USER, Data
from kira_cdk.functions import Function
from kira_cdk.layers import CA_FILE
from kira_cdk.network import POSTGRES
from kira_cdk.ports import Grant
from kira_cdk.queue import Queue
from kira_cdk.reasons import acknowledge
from kira_cdk.storage import Storage

NAMESPACE = "Kira"


class Rights:
    """The roles and variables of the functions, and the two roles that functions hand to AWS."""

    def __init__(self, stack: Stack, config: Config, data: Data, storage: Storage, queue: Queue) -> None:
        """Name everything that a port may speak of."""
        self._stack, self._config = stack, config
        self._assuming: list[iam.Role] = []
        clock = f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{Aws.ACCOUNT_ID}:function:{config.name}-clock"
        self._alarm_role = self._may_wake(clock)
        self._objects = storage.objects.bucket_arn
        self._user_role = f"{config.name}-user"
        user_role = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{self._user_role}"
        self._values = _values(config, data, storage, queue) | {
            "KIRA_USER_ROLE": user_role,
            "KIRA_ALARM_TARGET": clock,
            "KIRA_ALARM_ROLE": self._alarm_role.role_arn,
        }
        self._places = _places(config, data, queue) | {
            "user_role": [user_role],
            "alarm_role": [self._alarm_role.role_arn],
            "*": ["*"],
        }

    def environment(self, table: Function) -> dict[str, str]:
        """Return the variables of a function: those of its ports."""
        names = {name for port in table.ports(self._config) for name in port.environment}
        values = self._values | {"POWERTOOLS_SERVICE_NAME": table.name}
        return {name: values[name] for name in sorted(names)}

    def role(self, table: Function, log_group: logs.LogGroup) -> iam.Role:
        """Return the role of a function: the calls of its ports and no other."""
        role = _role(
            self._stack, f"{table.name}-role", iam.ServicePrincipal("lambda.amazonaws.com"), f"Kira: {table.told}"
        )
        places = self._places | {"log_group": [f"{log_group.log_group_arn}"]}
        for port in table.ports(self._config):
            for grant in port.grants:
                role.add_to_policy(_statement(grant, places))
        if "objects" in table.touches:
            self._assuming.append(role)
        acknowledge(
            role,
            "IAM5",
            "Network cards and traces know no smaller place; schedules are those of this Kira.",
            "Resource::*",
            "Resource::arn:<AWS::Partition>:scheduler:<AWS::Region>:<AWS::AccountId>:"
            f"schedule/{self._config.name}-alarms/*",
        )
        return role

    def close(self) -> None:
        """Make the role that acts for one user; only functions with the port `objects` may put it on, with a tag."""
        trusted = [
            iam.PrincipalWithConditions(
                iam.SessionTagsPrincipal(iam.ArnPrincipal(role.role_arn)),
                {"StringLike": {"aws:RequestTag/user": "?*"}},
            )
            for role in self._assuming
        ]
        role = iam.Role(
            self._stack,
            "User",
            role_name=self._user_role,  # known before the functions that are told it
            assumed_by=iam.CompositePrincipal(*trusted),
            description="Kira: one user's own objects",
        )
        role.add_to_policy(_own_objects(self._objects))
        role.add_to_policy(_own_list(self._objects))
        acknowledge(
            role,
            "IAM5",
            "The prefix of one user, taken from the tag of the session.",
            f"Resource::{self._config.name}-storage:ExportsOutputFnGetAttObjectsA92BA4F1ArnDE4464BF/users/"
            "<aws:PrincipalTag/user>/*",
        )

    def _may_wake(self, clock: str) -> iam.Role:
        scheduler = iam.ServicePrincipal(
            "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        )
        role = _role(self._stack, "Alarm", scheduler, "Kira: wakes the clock")
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[clock]))
        return role


def _values(config: Config, data: Data, storage: Storage, queue: Queue) -> dict[str, str]:
    """Return what is told to every function that has the port for it."""
    return {
        "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "KIRA_DATABASE_CA": f"/opt/{CA_FILE}",
        "KIRA_DATABASE_HOST": data.host,
        "KIRA_DATABASE_PORT": str(POSTGRES),
        "KIRA_DATABASE_NAME": DATABASE,
        "KIRA_DATABASE_USER": USER,
        "KIRA_DATABASE_SECRET": "" if config.database_sign_in == "iam" else data.user_secret.secret_arn,
        "KIRA_DATABASE_OWNER_SECRET": data.owner_secret.secret_arn,
        "KIRA_MASTER_KEY_SECRET": data.master_key.secret_arn,
        "KIRA_ORIGIN_SECRET": data.origin.secret_arn,
        "KIRA_KEY": data.key.key_arn,
        "KIRA_QUEUE": queue.fleet.queue_url,
        "KIRA_QUEUE_HOSTED": queue.hosted.queue_url,
        "KIRA_STREAM": config.stream,
        "KIRA_BUCKET": storage.objects.bucket_name,
        "KIRA_MAIL_FROM": config.mail_from,
        "KIRA_ALARM_GROUP": queue.alarms,
        "KIRA_MODEL": config.fleet.models[0] if config.fleet.models else "",
        "KIRA_HOSTED": config.hosted,
        "KIRA_HOSTED_MODELS": ",".join(config.hosted_models),
        "KIRA_HOSTED_SECRET": data.hosted.secret_arn if data.hosted else "",
        "KIRA_ACCOUNTS": config.accounts,
    }


def _places(config: Config, data: Data, queue: Queue) -> dict[str, list[str]]:
    """Return the ARNs behind the names of `kira_cdk.ports`."""
    here = f"{Aws.REGION}:{Aws.ACCOUNT_ID}"
    cluster = data.cluster.cluster_resource_identifier
    senders = (config.mail_from, config.mail_from.rpartition("@")[2])
    return {
        "database_secret": [data.user_secret.secret_arn],
        "database_user": [f"arn:{Aws.PARTITION}:rds-db:{here}:dbuser:{cluster}/{USER}"],
        "database_owner_secret": [data.owner_secret.secret_arn],
        "master_key_secret": [data.master_key.secret_arn],
        "origin_secret": [data.origin.secret_arn],
        "hosted_secret": [data.hosted.secret_arn if data.hosted else ""],
        "key": [data.key.key_arn],
        "queues": [queue.fleet.queue_arn, queue.hosted.queue_arn],
        "queue_hosted": [queue.hosted.queue_arn],
        "schedules": [f"arn:{Aws.PARTITION}:scheduler:{here}:schedule/{queue.alarms}/*"],
        "mail_identity": [f"arn:{Aws.PARTITION}:ses:{here}:identity/{sender}" for sender in senders],
    }


def _role(stack: Stack, name: str, by: iam.IPrincipal, told: str) -> iam.Role:
    return iam.Role(stack, name, assumed_by=by, description=told)


def _statement(grant: Grant, places: dict[str, list[str]]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=list(grant.actions), resources=places[grant.on], conditions=dict(grant.condition)
    )


def _own_objects(bucket: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        resources=[f"{bucket}/users/${{aws:PrincipalTag/user}}/*"],
    )


def _own_list(bucket: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["s3:ListBucket"],
        resources=[bucket],
        conditions={"StringLike": {"s3:prefix": "users/${aws:PrincipalTag/user}/*"}},
    )
