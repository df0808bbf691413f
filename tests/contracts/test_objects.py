"""Every store of objects keeps each user's apart. That AWS bounds the credentials themselves, only AWS can show."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.aws import Aws, aws_server

from kira.adapters.objects.folder import FolderObjects
from kira.adapters.objects.s3 import BucketConfig, S3Objects
from kira.domain.errors import Invalid, NotFound, Unavailable
from kira.domain.ids import new_id
from kira.domain.limits import OBJECT_USERS_KEPT_MAX
from kira.ports.objects import Objects, Thing

AYA, BEN = new_id(), new_id()
ROLE = "arn:aws:iam::123456789012:role/user"


@dataclass
class Bucket:
    """A bucket, and which credentials were asked for."""

    aws: Aws
    name: str
    lent: list[dict[str, Any]] = field(default_factory=list)

    def make(self, service: str, **more: Any) -> Any:
        """Make a client; those of S3 have to come with lent credentials."""
        assert (service == "sts") == (not more)
        session, config = more.pop("aws_session_token", None), more.pop("config", None)
        if config is not None:
            more["signature_version"] = config.signature_version
        client = self.aws.client(service, **more)
        if service == "sts":
            client.meta.events.register("provide-client-params.sts.AssumeRole", self._note)
        assert service == "sts" or session
        return client

    def _note(self, params: dict[str, Any], **_: object) -> None:
        self.lent.append(params)


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        yield server


@pytest.fixture
def bucket(aws: Aws) -> Bucket:
    name = f"kira-{new_id()}"
    aws.client("s3").create_bucket(Bucket=name)
    return Bucket(aws, name)


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return FolderObjects(tmp_path / "objects")
    bucket: Bucket = request.getfixturevalue("bucket")
    return S3Objects(BucketConfig(bucket.name, ROLE), bucket.make)


@pytest.mark.parametrize("data", [b"", b"words", bytes(range(256)) * 5_000])
async def test_what_is_put_comes_back(objects: Objects, data: bytes) -> None:
    await objects.put(AYA, "files/a.pdf", b"before", "application/pdf")
    await objects.put(AYA, "files/a.pdf", data, "application/pdf")
    assert await objects.get(AYA, "files/a.pdf") == data
    assert await objects.things(AYA) == [Thing("files/a.pdf", len(data))]


async def test_what_is_removed_is_gone(objects: Objects) -> None:
    await objects.put(AYA, "a", b"x", "text/plain")
    await objects.remove(AYA, "a")
    await objects.remove(AYA, "a")
    with pytest.raises(NotFound):
        await objects.get(AYA, "a")
    assert list(await objects.things(AYA)) == []


async def test_each_user_has_their_own(objects: Objects) -> None:
    await objects.put(AYA, "a", b"of Aya", "text/plain")
    await objects.put(BEN, "a", b"of Ben", "text/plain")
    await objects.remove(BEN, "a")
    assert await objects.get(AYA, "a") == b"of Aya"
    with pytest.raises(NotFound):
        await objects.get(BEN, "a")


async def test_names_come_in_order_and_by_their_beginning(objects: Objects) -> None:
    for name in ("b/2", "a/1", "b/10", "c"):
        await objects.put(AYA, name, b"x", "text/plain")
    assert [each.name for each in await objects.things(AYA)] == ["a/1", "b/10", "b/2", "c"]
    assert [each.name for each in await objects.things(AYA, "b/")] == ["b/10", "b/2"]
    assert [each.name for each in await objects.things(AYA, "b/1")] == ["b/10"]


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "../a", "a/../b", "a//b", ".a", "a/.b", "a\\b", "a\n", "ä", "%2e", "x" * 500, "a b"]
)
async def test_a_name_that_could_lead_elsewhere_is_refused(objects: Objects, name: str) -> None:
    for work in (
        objects.put(AYA, name, b"x", "text/plain"),
        objects.get(AYA, name),
        objects.remove(AYA, name),
        objects.upload(AYA, name, "text/plain", 1),
        objects.download(AYA, name),
    ):
        with pytest.raises(Invalid):
            await work


@pytest.mark.parametrize(
    "user", ["", "..", AYA + "/../" + BEN, "*", AYA.upper()], ids=["nobody", "up", "through", "any", "upper"]
)
async def test_who_is_no_user_has_nothing(objects: Objects, user: str) -> None:
    with pytest.raises(Invalid):
        await objects.things(user)
    with pytest.raises(Invalid):
        await objects.get(user, "a")


async def test_an_address_leads_to_that_object_of_that_user(objects: Objects) -> None:
    up, down = await objects.upload(AYA, "a", "text/plain", 5), await objects.download(AYA, "a")
    if up is None or down is None:
        assert up is down
        return
    request = urllib.request.Request(up.url, b"words", dict(up.headers), method="PUT")
    urllib.request.urlopen(request).close()
    with urllib.request.urlopen(down.url) as answer:
        assert answer.read() == b"words"
    for address in (up.url, down.url):
        assert f"/users/{AYA}/a?" in address
        assert "Expires" in address
    assert "content-length" in up.url.lower()


async def test_credentials_are_lent_for_one_user_and_kept_a_while(bucket: Bucket) -> None:
    objects = S3Objects(BucketConfig(bucket.name, ROLE), bucket.make)
    for _ in range(3):
        await objects.put(AYA, "a", b"x", "text/plain")
        await objects.put(BEN, "a", b"x", "text/plain")
    assert [params["Tags"] for params in bucket.lent] == [[{"Key": "user", "Value": who}] for who in (AYA, BEN)]
    assert {params["RoleArn"] for params in bucket.lent} == {ROLE}


async def test_one_process_keeps_credentials_of_few(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OBJECT_USERS_KEPT_MAX > 2
    monkeypatch.setattr("kira.adapters.objects.s3.OBJECT_USERS_KEPT_MAX", 2)
    objects = S3Objects(BucketConfig(bucket.name, ROLE), bucket.make)
    for user in (AYA, BEN, new_id(), AYA):
        await objects.things(user)
    assert len(bucket.lent) == 4, "whoever was not there for longest is forgotten"


async def test_a_store_that_is_away_is_told() -> None:
    nobody = Bucket(Aws("http://127.0.0.1:9"), "none")
    objects = S3Objects(BucketConfig("none", ROLE), nobody.make)
    with pytest.raises(Unavailable):
        await objects.get(AYA, "a")
