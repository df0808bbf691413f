"""Where a SQLite file may lie: a folder that can be written, on a disk of this computer."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kira.domain.errors import WrongSetting

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p", "beegfs", "ncpfs"}
)
"""File systems whose locks SQLite cannot trust (sqlite.org/useovernet.html)."""

_OVER_FUSE = frozenset({"fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.mount.davfs"})
_OCTAL = re.compile(r"\\([0-7]{3})")


def check(folder: Path) -> None:
    """Make `folder` if it is missing; raises WrongSetting, with what to do, when it cannot hold the database."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise WrongSetting(f"KIRA_DATA {folder} is not a folder. Name a folder.") from None
    except OSError as error:
        raise WrongSetting(f"KIRA_DATA {folder} cannot be made: {error.strerror}. Name another folder.") from None
    if not os.access(folder, os.W_OK | os.X_OK) or not _can_write(folder):
        raise WrongSetting(f"KIRA_DATA {folder} cannot be written. Give Kira the right to write, or name another.")
    kind = network_kind(MOUNTS.read_text(errors="surrogateescape") if MOUNTS.exists() else "", folder.resolve())
    if kind:
        raise WrongSetting(
            f"KIRA_DATA {folder} lies on a network file system ({kind}), where SQLite files get damaged. "
            "Name a folder on a disk of this computer."
        )


def network_kind(mountinfo: str, folder: Path) -> str | None:
    """Return the kind of network file system that holds `folder`, or None.

    `mountinfo` is the text of /proc/self/mountinfo (proc(5)): the mount with the longest matching path counts.
    """
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, described = before.split(), after.split()
        if len(fields) < 5 or not described:
            continue
        mount = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        if folder.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), described[0]
    bare = kind.removeprefix("fuse.")
    return kind if bare in NETWORK or kind in _OVER_FUSE else None


def make_private(path: Path) -> None:
    """Make an empty file at `path`, for its owner only, where there is none."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _can_write(folder: Path) -> bool:
    probe = folder / f".kira-{os.getpid()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def check_file(path: Path) -> None:
    """Raise WrongSetting when there is something at `path` that is no file, or one that Kira may not change."""
    if path.exists() and not path.is_file():
        raise WrongSetting(f"{path} is not a file. Move it away, or name another folder with KIRA_DATA.")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise WrongSetting(f"{path} cannot be written. Give Kira the right to read and write it.")
