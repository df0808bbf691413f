"""What the template allows to whom: the policies of roles, and of what they reach."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.host.spec import ACCOUNT, REGION

Policy = dict[str, Any]
KEY_ID_LENGTH = 36
"""What moto seals begins with the key's id."""


class TemplateLaw:
    """Reads policies from the template with all names resolved; those that AWS keeps come from moto."""

    def __init__(self, deployed: Deployed, moto: Moto) -> None:
        """Read all."""
        self._moto, self._deployed = moto, deployed
        self._attached = {name: list(policies) for name, policies in self._roles()}
        self._resources = dict(self._resource_policies())
        self._keys = dict(self._sealed())
        self._managed = cache(self._of_aws)

    def identity(self, role: str) -> list[Policy]:
        """Return the policies of a role."""
        return self._attached.get(role, [])

    def resource(self, arn: str) -> Policy | None:
        """Return the policy of a bucket, queue, key, secret or role."""
        return self._resources.get(arn)

    def key_of(self, arn: str) -> str | None:
        """Return the key of a bucket, queue or secret."""
        return self._keys.get(arn)

    def full_key(self, name: str) -> str:
        """Return the ARN of a key that is named by its id, its ARN, or by what it sealed."""
        if name.startswith("arn:"):
            return name
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):  # else it is an id
            name = base64.b64decode(name, validate=True)[:KEY_ID_LENGTH].decode()
        return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"

    def full_secret(self, name: str) -> str:
        """Return the ARN of a secret."""
        if name.startswith("arn:"):
            return name
        return str(self._moto.client("secretsmanager").describe_secret(SecretId=name)["ARN"])

    def _all(self, *types: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield the place and the properties of every resource of `types`."""
        for name in types:
            for stack, logical, properties in self._deployed.assembly.of_type(name):
                yield stack.name, logical, self._deployed.values.of(stack, properties)

    def _told(self, stack: str, logical: str, attribute: str | None = "Arn") -> str:
        return str(self._deployed.values.told[(stack, logical), attribute])

    def _roles(self) -> Iterator[tuple[str, Iterator[Policy]]]:
        apart = list(self._all("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"))
        for stack, logical, role in self._all("AWS::IAM::Role"):
            name = self._told(stack, logical, None)
            arn = self._told(stack, logical)
            yield arn, self._policies(role, [each for _, _, each in apart if name in each.get("Roles", [])])

    def _policies(self, role: dict[str, Any], apart: list[dict[str, Any]]) -> Iterator[Policy]:
        for each in [*role.get("Policies", []), *apart]:
            yield each["PolicyDocument"]
        for arn in role.get("ManagedPolicyArns", []):
            if ":iam::aws:policy/" in arn:
                yield self._of_aws(arn)

    def _of_aws(self, arn: str) -> Policy:
        client = self._moto.client("iam")
        version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = client.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return dict(json.loads(unquote(found)) if isinstance(found, str) else found)

    def _resource_policies(self) -> Iterator[tuple[str, Policy]]:
        for stack, logical, role in self._all("AWS::IAM::Role"):
            yield self._told(stack, logical), role["AssumeRolePolicyDocument"]
        for stack, logical, key in self._all("AWS::KMS::Key"):
            yield self._told(stack, logical), key["KeyPolicy"]
        for _, _, policy in self._all("AWS::S3::BucketPolicy"):
            yield f"arn:aws:s3:::{policy['Bucket']}", policy["PolicyDocument"]
        for _, _, policy in self._all("AWS::SQS::QueuePolicy"):
            for queue in policy["Queues"]:
                yield f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue.rpartition('/')[2]}", policy["PolicyDocument"]
        for _, _, policy in self._all("AWS::SecretsManager::ResourcePolicy"):
            yield policy["SecretId"], policy["ResourcePolicy"]

    def _sealed(self) -> Iterator[tuple[str, str]]:
        for stack, logical, bucket in self._all("AWS::S3::Bucket"):
            for rule in bucket.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", []):
                if key := rule.get("ServerSideEncryptionByDefault", {}).get("KMSMasterKeyID"):
                    yield self._told(stack, logical), self.full_key(key)
        for stack, logical, queue in self._all("AWS::SQS::Queue"):
            if (key := queue.get("KmsMasterKeyId")) and not key.startswith("alias/aws/"):
                yield self._told(stack, logical), self.full_key(key)
        for stack, logical, secret in self._all("AWS::SecretsManager::Secret"):
            if key := secret.get("KmsKeyId"):
                yield self._told(stack, logical, None), self.full_key(key)
