"""A bucket behind CloudFront: what the distribution may read of it, and what a deployment puts there."""

from __future__ import annotations

import fnmatch
import io
import mimetypes
import zipfile
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.cloud.policies import Call, Policies, Principal, why_not
from tests.rehearsal.serving import Headers, Reply, Request

SHOWN = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType")
PRINCIPAL = Principal("", service="cloudfront.amazonaws.com")


class Bucket:
    """The files of a bucket as far as its policy shows them to a distribution."""

    def __init__(self, moto: Moto, name: str, policy: dict[str, Any] | None, distribution: str, *, signs: bool) -> None:
        """`signs` says whether the distribution signs its requests, as with an origin access control."""
        self._client, self.name = moto.client("s3"), name
        self._policy, self._distribution, self._signs = policy, distribution, signs

    def answer(self, request: Request) -> Reply:
        """Answer a request as it comes from CloudFront."""
        key = unquote(urlsplit(request.target).path).removeprefix("/")
        if request.method not in ("GET", "HEAD"):
            return _error(405, "MethodNotAllowed")
        if not self._may("s3:GetObject", f"arn:aws:s3:::{self.name}/{key}"):
            return _error(403, "AccessDenied")
        try:
            found = self._client.get_object(Bucket=self.name, Key=key or "/")
        except ClientError:
            listed = self._may("s3:ListBucket", f"arn:aws:s3:::{self.name}")
            return _error(404, "NoSuchKey") if listed else _error(403, "AccessDenied")
        headers: Headers = [("ETag", found["ETag"])]
        headers += [(_dashed(name), found[name]) for name in SHOWN if found.get(name)]
        return Reply(200, headers, (found["Body"].read(),))

    def _may(self, action: str, resource: str) -> bool:
        call = Call(action, resource, {"aws:SourceArn": self._distribution, "aws:SourceAccount": PRINCIPAL.account})
        return self._signs and why_not(call, PRINCIPAL, Policies(resource=self._policy)) is None


def fill(deployed: Deployed, moto: Moto) -> None:
    """Do what the template's bucket deployments do: unpack assets into buckets, with the headers given."""
    client = moto.client("s3")
    for stack, _, properties in deployed.assembly.of_type("Custom::CDKBucketDeployment"):
        said = deployed.values.of(stack, properties)
        for source, key in zip(said["SourceBucketNames"], said["SourceObjectKeys"], strict=True):
            asset = zipfile.ZipFile(io.BytesIO(client.get_object(Bucket=source, Key=key)["Body"].read()))
            for name in asset.namelist():
                if not name.endswith("/") and _is_wanted(name, said):
                    _put(client, said, name, asset.read(name))


def _is_wanted(name: str, said: dict[str, Any]) -> bool:
    """Later words win, as with `aws s3 sync`: first what is excluded, then what is included again."""
    wanted = not any(fnmatch.fnmatch(name, each) for each in said.get("Exclude", []))
    return wanted or any(fnmatch.fnmatch(name, each) for each in said.get("Include", []))


def _put(client: Any, said: dict[str, Any], name: str, body: bytes) -> None:
    prefix = said.get("DestinationBucketKeyPrefix", "").strip("/")
    headers = {_joined(key): value for key, value in said.get("SystemMetadata", {}).items()}
    guessed = mimetypes.guess_type(name)[0]
    if guessed:
        headers.setdefault("ContentType", guessed)
    key = f"{prefix}/{name}" if prefix else name
    client.put_object(Bucket=said["DestinationBucketName"], Key=key, Body=body, **headers)


def _joined(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _dashed(name: str) -> str:
    return "".join(f"-{letter}" if letter.isupper() and number else letter for number, letter in enumerate(name))


def _error(status: int, code: str) -> Reply:
    return Reply(status, [("Content-Type", "application/xml")], (f"<Error><Code>{code}</Code></Error>".encode(),))
