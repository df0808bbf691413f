"""Puts the dashboard of this version into its bucket during a deploy, and lets the files of earlier ones age."""

from __future__ import annotations

import io
import mimetypes
import os
import zipfile
from typing import Any

import boto3  # type: ignore[import-untyped]

YEAR = "public, max-age=31536000, immutable"
ALWAYS_ASK = "no-cache"
TYPES = {
    ".webmanifest": "application/manifest+json",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    "": "text/html",
}
OLD = "kira=old"


def handler(_event: object, _context: object) -> dict[str, int]:
    """Upload what the archive holds: hashed files first, so that no page ever names a file that is not there yet."""
    s3 = boto3.client("s3")
    bucket = os.environ["TARGET"]
    archive = s3.get_object(Bucket=os.environ["SOURCE_BUCKET"], Key=os.environ["SOURCE_KEY"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        names = [name for name in files.namelist() if not name.endswith("/")]
        for name in sorted(names, key=lambda name: (not name.startswith("assets/"), name == "index.html", name)):
            s3.put_object(
                Bucket=bucket, Key=name, Body=files.read(name), ContentType=type_of(name), CacheControl=cache_of(name)
            )
    return {"uploaded": len(names), "retired": _retire(s3, bucket, set(names))}


def cache_of(name: str) -> str:
    """Return how long a file may be kept: what has a hash in its name for a year, everything else never."""
    return YEAR if name.startswith("assets/") else ALWAYS_ASK


def type_of(name: str) -> str:
    """Return the type of a file."""
    return TYPES.get(os.path.splitext(name)[1]) or mimetypes.guess_type(name)[0] or "application/octet-stream"  # noqa: PTH122


def _retire(s3: Any, bucket: str, kept: set[str]) -> int:
    """Mark what this version no longer has; the bucket forgets it 30 days after it was written again here."""
    retired = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for name in (each["Key"] for each in page.get("Contents", ()) if each["Key"] not in kept):
            tags = s3.get_object_tagging(Bucket=bucket, Key=name)["TagSet"]
            if {"Key": "kira", "Value": "old"} not in tags:
                _write_again(s3, bucket, name)
                retired += 1
    return retired


def _write_again(s3: Any, bucket: str, name: str) -> None:
    s3.copy_object(
        Bucket=bucket,
        Key=name,
        CopySource={"Bucket": bucket, "Key": name},
        MetadataDirective="REPLACE",
        ContentType=type_of(name),
        CacheControl=cache_of(name),
        TaggingDirective="REPLACE",
        Tagging=OLD,
    )
