"""Where a database may lie: a folder of this computer that can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from kira.adapters.database import places
from kira.adapters.database.sqlite import SqliteConfig, create_database
from kira.domain.errors import WrongSetting

LAPTOP = """\
22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 28 0:40 / /home/anna/My\\040Files rw,relatime shared:9 - cifs //server/anna rw,vers=3.1.1
32 28 0:41 / /mnt/nfs rw,relatime shared:10 master:3 - nfs4 server:/export rw,vers=4.2
33 32 254:2 / /mnt/nfs/local rw,relatime - ext4 /dev/vdb1 rw
34 28 0:42 / /mnt/c rw,noatime - 9p drvfs rw,aname=drvfs
35 28 0:43 / /remote rw - fuse.sshfs anna@server: rw
36 28 0:44 / /tape\\134one rw - smb3 //server/tape rw
37 28 0:45 / /again rw - nfs server:/x rw
38 28 254:3 / /again rw - xfs /dev/vdc1 rw
39 28 0:46 / /desktop rw - fuse.gvfsd-fuse gvfsd-fuse rw
40 28 0:47 / /ram rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/home/anna", None),
        ("/home/anna/My Files", "cifs"),
        ("/home/anna/My Files/kira", "cifs"),
        ("/home/anna/My Files2", None),
        ("/mnt/nfs/kira", "nfs4"),
        ("/mnt/nfsx", None),
        ("/mnt/nfs/local/kira", None),
        ("/mnt/c/Users/anna", "9p"),
        ("/remote/deep/er", "fuse.sshfs"),
        ("/tape\\one/x", "smb3"),
        ("/again/x", None),
        ("/desktop", None),
        ("/ram/kira", None),
    ],
)
def test_the_nearest_mount_decides(folder: str, kind: str | None) -> None:
    assert places.network_kind(LAPTOP, Path(folder)) == kind


@pytest.mark.parametrize("kind", sorted(places.NETWORK))
def test_every_network_file_system_is_known_bare_and_over_fuse(kind: str) -> None:
    for name in (kind, f"fuse.{kind}"):
        mounts = f"28 1 254:1 / / rw - ext4 /dev/vda1 rw\n31 28 0:40 / /net rw - {name} server rw\n"
        assert places.network_kind(mounts, Path("/net/kira")) == name
        assert places.network_kind(mounts, Path("/home")) is None


@pytest.mark.parametrize("text", ["", "\n\n", "nonsense", "1 2 3 - ", "28 1 254:1 / / rw -"])
def test_a_table_of_mounts_that_says_nothing_refuses_nothing(text: str) -> None:
    assert places.network_kind(text, Path("/home")) is None


def test_a_folder_on_the_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"28 1 254:1 / / rw - ext4 /dev/vda1 rw\n31 28 0:40 / {tmp_path.resolve()} rw - nfs4 s:/e rw\n")
    monkeypatch.setattr(places, "MOUNTS", mounts)
    with pytest.raises(WrongSetting, match=r"network file system \(nfs4\)"):
        create_database(SqliteConfig(tmp_path / "data" / "kira.sqlite"))
    assert not (tmp_path / "data" / "kira.sqlite").exists()


async def test_a_missing_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "kira.sqlite"
    await create_database(SqliteConfig(path)).close()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["file/kira.sqlite", "file/deep/kira.sqlite"])
def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WrongSetting, match="not a folder"):
        create_database(SqliteConfig(tmp_path / name))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kira.sqlite").mkdir()
    with pytest.raises(WrongSetting, match="not a file"):
        create_database(SqliteConfig(tmp_path / "kira.sqlite"))


@pytest.mark.parametrize("folder", ["/proc/kira", "/proc/self"])
def test_a_folder_that_cannot_be_written_is_refused_with_what_to_do(folder: str) -> None:
    with pytest.raises(WrongSetting, match=r"cannot be (made|written)") as refused:
        create_database(SqliteConfig(Path(folder) / "kira.sqlite"))
    assert "another" in refused.value.message


def test_a_wrong_place_is_told_in_words_without_a_stack(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongSetting) as refused:
        places.check(tmp_path / "file")
    assert "KIRA_DATA" in refused.value.message
    assert "Errno" not in refused.value.message
