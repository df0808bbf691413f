"""A SQLite file lies on a disk of this computer, in a folder that can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from kira.adapters.database.places import check, network_kind
from kira.domain.errors import WrongSetting

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:35 / /home rw,relatime shared:20 - btrfs /dev/sdb1 rw
41 22 0:36 / /mnt/share rw,relatime shared:21 - nfs4 server:/share rw
42 22 0:37 / /mnt/windows rw,relatime shared:22 - cifs //server/share rw
43 22 0:38 / /mnt/remote rw,nosuid shared:23 - fuse.sshfs me@host: rw
44 41 254:1 / /mnt/share/disk rw,relatime shared:24 - xfs /dev/sdc1 rw
45 22 0:39 / /mnt/with\\040blank rw,relatime shared:25 - nfs server:/b rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/kira", None),
        ("/home/ada/kira", None),
        ("/mnt/share/kira", "nfs4"),
        ("/mnt/shared", None),
        ("/mnt/windows/kira", "cifs"),
        ("/mnt/remote", "fuse.sshfs"),
        ("/mnt/share/disk/kira", None),
        ("/mnt/with blank/kira", "nfs"),
    ],
)
def test_the_kind_of_network_file_system_is_known(folder: str, kind: str | None) -> None:
    assert network_kind(MOUNTS, Path(folder)) == kind


def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    check(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WrongSetting, match="folder"):
        check(tmp_path / "file")
