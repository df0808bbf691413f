"""Every shelf keeps files whole under their names, and says in a sentence what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.aws import CREDENTIALS, SECRET
from tests.buckets import S3, s3_server

from kira.adapters.shelf.folder import FolderShelf
from kira.adapters.shelf.s3 import S3Config, S3Shelf
from kira.domain.errors import Conflict, Forbidden, Invalid, KiraError, NotFound, Unavailable
from kira.domain.limits import BACKUP_PART_BYTES
from kira.ports.shelf import Kept, Shelf


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A server for this file."""
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "s3", "bare bucket"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    if request.param == "folder":
        return FolderShelf(tmp_path / "shelf")
    s3: S3 = request.getfixturevalue("s3")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    prefix = "of/kira" if request.param == "s3" else ""
    return S3Shelf(S3Config(s3.bucket(), prefix, tmp_path / "room", s3.endpoint))


def _made(shelf: Shelf, content: bytes) -> Path:
    shelf.room.mkdir(parents=True, exist_ok=True)
    made = shelf.room / ".made"
    made.write_bytes(content)
    return made


def _untold(done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.mark.parametrize("size", [0, 5, BACKUP_PART_BYTES + 1, 2 * BACKUP_PART_BYTES])
async def test_what_is_put_comes_back_as_it_was(shelf: Shelf, tmp_path: Path, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    await shelf.put(_made(shelf, content[:size]), "a.sqlite")
    told: list[tuple[int, int]] = []
    target = tmp_path / "back"
    await shelf.get("a.sqlite", target, lambda done, total: told.append((done, total)))
    assert target.read_bytes() == content[:size]
    assert target.stat().st_mode & 0o777 == 0o600
    assert told[-1:] == ([(size, size)] if size else [])
    assert await shelf.kept() == [Kept("a.sqlite", size)]
    assert await shelf.has("a.sqlite")


async def test_names_come_in_order_and_can_be_removed(shelf: Shelf) -> None:
    assert list(await shelf.kept()) == []
    for name in ("c", "a", "b"):
        await shelf.put(_made(shelf, name.encode()), name)
    assert [each.name for each in await shelf.kept()] == ["a", "b", "c"]
    await shelf.remove("b")
    await shelf.remove("never there")
    assert [each.name for each in await shelf.kept()] == ["a", "c"]
    assert not await shelf.has("b")
    assert shelf.address("a").endswith("/a")


async def test_a_name_is_given_once(shelf: Shelf, tmp_path: Path) -> None:
    await shelf.put(_made(shelf, b"first"), "a")
    with pytest.raises(Conflict, match="is there already"):
        await shelf.put(_made(shelf, b"second"), "a")
    await shelf.get("a", tmp_path / "back", _untold)
    assert (tmp_path / "back").read_bytes() == b"first"


async def test_what_is_not_there_is_not_found(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"^There is no .*nothing\.$"):
        await shelf.get("nothing", tmp_path / "back", _untold)


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    made = tmp_path / "made"
    made.touch()
    with pytest.raises(KiraError, match=r"cannot be written: .*\.$"):
        await FolderShelf(tmp_path / "file").put(made, "a")


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket that this process may use."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return s3.bucket()


async def test_an_object_that_was_changed_is_refused(s3: S3, bucket: str, tmp_path: Path) -> None:
    shelf = S3Shelf(S3Config(bucket, "", tmp_path / "room", s3.endpoint))
    await shelf.put(_made(shelf, b"what was written"), "a")
    kept = s3.client.head_object(Bucket=bucket, Key="a")["Metadata"]
    s3.client.put_object(Bucket=bucket, Key="a", Body=b"what was meddled", Metadata=kept)
    with pytest.raises(Invalid, match="checksum"):
        await shelf.get("a", tmp_path / "back", _untold)


async def test_each_part_is_sent_with_its_checksum(s3: S3, bucket: str, tmp_path: Path) -> None:
    shelf = S3Shelf(S3Config(bucket, "", tmp_path / "room", s3.endpoint))
    await shelf.put(_made(shelf, b"x" * (BACKUP_PART_BYTES + 1)), "large")
    assert len(s3.client.head_object(Bucket=bucket, Key="large")["Metadata"]["sha256"]) == 64
    assert s3.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


async def test_what_s3_says_is_told_without_secrets(s3: S3, bucket: str, tmp_path: Path) -> None:
    nowhere = S3Shelf(S3Config("no-such-bucket", "", tmp_path / "room", s3.endpoint))
    with pytest.raises(NotFound, match="There is no bucket no-such-bucket"):
        await nowhere.put(_made(nowhere, b"x"), "a")
    with pytest.raises(NotFound, match="There is no bucket"):
        await nowhere.kept()
    down = S3Shelf(S3Config(bucket, "", tmp_path / "room", "http://127.0.0.1:9"))
    with pytest.raises(Unavailable, match=r"^http://127.0.0.1:9 could not do it \(.+\)\.$") as found:
        await down.put(_made(down, b"x"), "a")
    assert SECRET not in found.value.message
    assert "\n" not in found.value.message


async def test_credentials_that_are_refused_are_told(bucket: str, tmp_path: Path) -> None:
    with s3_server(refuses=True) as server:
        shelf = S3Shelf(S3Config(bucket, "", tmp_path / "room", server.endpoint))
        with pytest.raises(Forbidden, match="Check AWS_ACCESS_KEY_ID") as found:
            await shelf.put(_made(shelf, b"x"), "a")
    assert SECRET not in found.value.message
