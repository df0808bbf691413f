"""The buckets: users' objects, the weights of models, and the log of who asked for what."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from kira_cdk.config import Config
from kira_cdk.part import Part
from kira_cdk.reasons import acknowledge

OLD_DAYS = 30
OLD = {"kira": "old"}


class Storage(Part):
    """Every bucket is private, encrypted, and refuses what does not come over TLS."""

    def __init__(self, scope: Construct, config: Config) -> None:
        """Make the buckets of one Kira."""
        super().__init__(scope, config, "storage")
        self.logs = bucket(
            self, "Logs", lifecycle_rules=[s3.LifecycleRule(id="forget", expiration=Duration.days(config.log_days))]
        )
        acknowledge(self.logs, "S1", "It is where the others log; a log of the log would never end.")
        self.objects = bucket(
            self,
            "Objects",
            versioned=True,
            server_access_logs_bucket=self.logs,
            server_access_logs_prefix="objects/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="deleted",
                    noncurrent_version_expiration=Duration.days(30),
                    expired_object_delete_marker=True,
                    abort_incomplete_multipart_upload_after=Duration.days(2),
                )
            ],
        )
        self.weights = bucket(
            self, "Weights", server_access_logs_bucket=self.logs, server_access_logs_prefix="weights/"
        )


def bucket(scope: Construct, name: str, **more: Any) -> s3.Bucket:
    """Return a bucket of `scope` as every bucket of Kira is; it stays when its stack goes."""
    return s3.Bucket(
        scope,
        name,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=RemovalPolicy.RETAIN,
        **more,
    )
