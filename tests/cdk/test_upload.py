"""The upload during a deploy, against a real S3 server: headers, order, and what becomes of old files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest
from tests.aws import CREDENTIALS
from tests.buckets import S3, s3_server

from kira.web import files
from kira_cdk import site
from kira_cdk.upload import handler as upload


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """Return a server."""
    with s3_server() as server:
        yield server


def _deploy(s3: S3, bucket: str, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, body in contents.items():
            packed.writestr(name, body)
    source = s3.bucket()
    s3.client.put_object(Bucket=source, Key="site.zip", Body=archive.getvalue())
    environment = CREDENTIALS | {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": s3.endpoint}
    environment |= {"SOURCE_BUCKET": source, "SOURCE_KEY": "site.zip", "TARGET": bucket}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return upload.handler({}, None)


def _tags(s3: S3, bucket: str, name: str) -> list[dict[str, str]]:
    tags: list[dict[str, str]] = s3.client.get_object_tagging(Bucket=bucket, Key=name)["TagSet"]
    return tags


def test_the_dashboard_has_at_aws_the_types_and_the_caching_of_home(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, folder = s3.bucket(), site.folder()
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert _deploy(s3, bucket, contents, monkeypatch) == {"uploaded": len(contents), "retired": 0}
    for name, file in files.Dashboard(site.DASHBOARD)._files.items():
        there = s3.client.get_object(Bucket=bucket, Key=name.lstrip("/"))
        assert there["Body"].read() == file.bodies[""]
        assert there["ContentType"] == file.type, name
        assert there["CacheControl"] == file.cache, name
    assert s3.client.head_object(Bucket=bucket, Key=site.PAGE)["ContentType"] == "text/html"
    assert not [name for name in s3.keys(bucket) if name.endswith((".br", ".gz")) or name.startswith(".")]


def test_open_tabs_find_old_files_until_they_are_forgotten(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3.bucket()
    _deploy(s3, bucket, {"index.html": b"1", "assets/a-1.js": b"old", "assets/same.js": b"same"}, monkeypatch)
    new = {"index.html": b"2", "assets/a-2.js": b"new", "assets/same.js": b"same"}
    assert _deploy(s3, bucket, new, monkeypatch)["retired"] == 1
    old = s3.client.get_object(Bucket=bucket, Key="assets/a-1.js")
    assert old["Body"].read() == b"old"
    assert old["CacheControl"] == files.YEAR
    assert old["ContentType"] == "text/javascript"
    assert _tags(s3, bucket, "assets/a-1.js") == [{"Key": "kira", "Value": "old"}]
    assert _tags(s3, bucket, "assets/same.js") == []
    assert _deploy(s3, bucket, new, monkeypatch)["retired"] == 0  # its days are counted from the first time


def test_a_rollback_takes_back_what_was_old(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, first = s3.bucket(), {"index.html": b"1", "assets/a-1.js": b"old"}
    _deploy(s3, bucket, first, monkeypatch)
    _deploy(s3, bucket, {"index.html": b"2", "assets/a-2.js": b"new"}, monkeypatch)
    _deploy(s3, bucket, first, monkeypatch)
    assert _tags(s3, bucket, "assets/a-1.js") == []
    assert _tags(s3, bucket, "assets/a-2.js") == [{"Key": "kira", "Value": "old"}]
    assert s3.client.get_object(Bucket=bucket, Key="index.html")["Body"].read() == b"1"
