"""Reads from a request to AWS what it does and to what, in the words of policies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from tests.rehearsal.cloud.policies import Call, Context, NotRehearsed
from tests.rehearsal.host.spec import ACCOUNT, REGION


class Keys(Protocol):
    """Knows by which key a resource is sealed, and the full names of keys and secrets."""

    def key_of(self, arn: str) -> str | None:
        """Return the key of a bucket, queue or secret; None where AWS seals it with its own."""

    def full_key(self, name: str) -> str:
        """Return the ARN of a key that may be named by its id."""

    def full_secret(self, name: str) -> str:
        """Return the ARN of a secret that may be named by its name."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path)

    @cached_property
    def query(self) -> dict[str, str]:
        """The query; of several values the last."""
        return {
            name: values[-1] for name, values in parse_qs(urlsplit(self.target).query, keep_blank_values=True).items()
        }

    @cached_property
    def scope(self) -> tuple[str, str]:
        """The access key and the service that the signature names."""
        told = self.headers.get("authorization", "") + " Credential=" + self.query.get("X-Amz-Credential", "")
        found = re.search(r"Credential=([^/\s]+)/\d+/[^/]*/([^/]+)/aws4_request", told)
        return (found[1], found[2]) if found else ("", "")

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body of a JSON service."""
        return dict(json.loads(self.body or b"{}"))

    @cached_property
    def form(self) -> dict[str, str]:
        """The body of a query service."""
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}


def calls_of(asked: Asked, keys: Keys) -> list[Call]:
    """Return all that the caller must be allowed to do."""
    service = asked.scope[1]
    if service not in READERS:
        raise NotRehearsed(f"a call of {service or 'nobody knows what'}: {asked.method} {asked.target}")
    return list(READERS[service](asked, keys))


def _operation(asked: Asked) -> str:
    return asked.headers["x-amz-target"].partition(".")[2]


def _sqs(asked: Asked, keys: Keys) -> Iterator[Call]:
    operation = _operation(asked)
    name = asked.json.get("QueueUrl", asked.json.get("QueueName", "")).rpartition("/")[2]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    yield Call(f"sqs:{operation.removesuffix('Batch')}", arn)
    if (key := keys.key_of(arn)) and operation in ("SendMessage", "SendMessageBatch", "ReceiveMessage"):
        context = {"kms:ViaService": f"sqs.{REGION}.amazonaws.com"}
        yield Call("kms:Decrypt", key, context)
        if operation.startswith("Send"):
            yield Call("kms:GenerateDataKey", key, context)


def _kms(asked: Asked, keys: Keys) -> Iterator[Call]:
    told = asked.json.get("EncryptionContext", {})
    context: dict[str, Any] = {f"kms:EncryptionContext:{name}": value for name, value in told.items()}
    if told:
        context["kms:EncryptionContextKeys"] = list(told)
    name = asked.json.get("KeyId") or keys.full_key(asked.json.get("CiphertextBlob", ""))
    yield Call(f"kms:{_operation(asked)}", keys.full_key(name), context)


def _secrets(asked: Asked, keys: Keys) -> Iterator[Call]:
    arn = keys.full_secret(asked.json.get("SecretId", "*"))
    yield Call(f"secretsmanager:{_operation(asked)}", arn)
    if key := keys.key_of(arn):
        context = {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com", "kms:EncryptionContext:SecretARN": arn}
        yield Call("kms:Decrypt", key, context)


S3_QUERIES: Mapping[tuple[str, str], str] = {
    ("GET", "uploads"): "s3:ListBucketMultipartUploads",
    ("GET", "versions"): "s3:ListBucketVersions",
    ("GET", "location"): "s3:GetBucketLocation",
    ("GET", "uploadId"): "s3:ListMultipartUploadParts",
    ("GET", "tagging"): "s3:GetObjectTagging",
    ("GET", "versionId"): "s3:GetObjectVersion",
    ("PUT", "tagging"): "s3:PutObjectTagging",
    ("DELETE", "uploadId"): "s3:AbortMultipartUpload",
    ("DELETE", "versionId"): "s3:DeleteObjectVersion",
}
S3_OBJECT = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject"}


def _s3(asked: Asked, keys: Keys) -> Iterator[Call]:
    bucket, _, key = asked.path.removeprefix("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    via = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    sealed = keys.key_of(arn)
    if asked.method == "POST" and "delete" in asked.query:
        for found in re.findall(rb"<Key>(.*?)</Key>", asked.body):
            yield Call("s3:DeleteObject", f"{arn}/{found.decode()}")
        return
    special = [
        action for (method, name), action in S3_QUERIES.items() if method == asked.method and name in asked.query
    ]
    if not key:
        prefix = {"s3:prefix": asked.query["prefix"]} if "prefix" in asked.query else {}
        yield Call(special[0] if special else "s3:ListBucket", arn, prefix)
        return
    action = special[0] if special else S3_OBJECT.get(asked.method, "s3:DeleteObject")
    yield Call(action, f"{arn}/{key}")
    if source := unquote(asked.headers.get("x-amz-copy-source", "")):
        yield Call("s3:GetObject", f"arn:aws:s3:::{source.removeprefix('/').partition('?')[0]}")
    if sealed and action in ("s3:GetObject", "s3:PutObject"):
        yield Call("kms:Decrypt" if action == "s3:GetObject" else "kms:GenerateDataKey", sealed, via)


def _sts(asked: Asked, keys: Keys) -> Iterator[Call]:
    action, form = asked.form["Action"], asked.form
    if action == "GetCallerIdentity":
        return
    tags = session_tags(asked)
    context: dict[str, Any] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = list(tags)
    yield Call(f"sts:{action}", form["RoleArn"], context | {"sts:RoleSessionName": form.get("RoleSessionName", "")})
    if tags:
        yield Call("sts:TagSession", form["RoleArn"], context)


def session_tags(asked: Asked) -> dict[str, str]:
    """Return the tags with which a role is taken."""
    form, tags, number = asked.form, {}, 1
    while f"Tags.member.{number}.Key" in form:
        tags[form[f"Tags.member.{number}.Key"]] = form.get(f"Tags.member.{number}.Value", "")
        number += 1
    return tags


def _scheduler(asked: Asked, keys: Keys) -> Iterator[Call]:
    """A schedule is also handed a role."""
    said = asked.json if asked.body else {}
    group = said.get("GroupName") or asked.query.get("groupName") or asked.query.get("ScheduleGroup") or "default"
    verb = {"POST": "Create", "PUT": "Update", "DELETE": "Delete", "GET": "Get"}[asked.method]
    if asked.path == "/schedules":
        yield Call("scheduler:ListSchedules", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{group}/*")
        return
    name = asked.path.rpartition("/")[2]
    yield Call(f"scheduler:{verb}Schedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{group}/{name}")
    if role := said.get("Target", {}).get("RoleArn"):
        yield Call("iam:PassRole", role, {"iam:PassedToService": "scheduler.amazonaws.com"})


def _mail(asked: Asked, keys: Keys) -> Iterator[Call]:
    sender = asked.json.get("FromEmailAddress", "")
    address = sender.rpartition("<")[2].rstrip(">")
    context = {"ses:FromAddress": address}
    yield Call("ses:SendEmail", f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{address}", context)


def _lambda(asked: Asked, keys: Keys) -> Iterator[Call]:
    found = re.fullmatch(r"/2015-03-31/functions/(.+)/invocations", asked.path)
    if not found:
        raise NotRehearsed(f"{asked.method} {asked.path}")
    name = found[1] if found[1].startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{found[1]}"
    yield Call("lambda:InvokeFunction", name)


def _named(service: str, resource: str = "*") -> Callable[[Asked, Keys], Iterator[Call]]:
    """Read a service of which only the operation counts."""

    def read(asked: Asked, keys: Keys) -> Iterator[Call]:
        operation = _operation(asked) if "x-amz-target" in asked.headers else asked.form["Action"]
        yield Call(f"{service}:{operation}", resource, _namespace(asked))

    return read


def _namespace(asked: Asked) -> Context:
    told = asked.json if asked.body.startswith(b"{") else asked.form
    return {"cloudwatch:namespace": told["Namespace"]} if "Namespace" in told else {}


def _autoscaling(asked: Asked, keys: Keys) -> Iterator[Call]:
    group = asked.form.get("AutoScalingGroupName", "*")
    resource = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/{group}"
    reads = asked.form["Action"].startswith("Describe")
    yield Call(f"autoscaling:{asked.form['Action']}", "*" if reads else resource)


def _parameters(asked: Asked, keys: Keys) -> Iterator[Call]:
    names = asked.json.get("Names", [asked.json.get("Name", "*")])
    for name in names:
        yield Call(f"ssm:{_operation(asked)}", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}")


READERS: Mapping[str, Callable[[Asked, Keys], Iterator[Call]]] = {
    "autoscaling": _autoscaling,
    "kms": _kms,
    "lambda": _lambda,
    "monitoring": _named("cloudwatch"),
    "s3": _s3,
    "scheduler": _scheduler,
    "secretsmanager": _secrets,
    "ses": _mail,
    "sqs": _sqs,
    "ssm": _parameters,
    "sts": _sts,
}
