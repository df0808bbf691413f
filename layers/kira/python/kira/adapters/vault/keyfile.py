"""The vault of one computer: a master key from a setting, or in a file that only its owner can read."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kira.domain.errors import Invalid, WrongSetting
from kira.domain.keys import KEY_BYTES, key_for

FILE_NAME = "master.key"
MASTER_KEY_CHARACTERS_MIN = 32


FORMAT = b"\x01"
SEAL = "seal"
OTHER = "This secret cannot be opened here: it was sealed in another home, or was changed since."
NO_LIBRARY = "Secrets of users cannot be sealed here: a library is missing. Run `pip install 'kira-assistant[vault]'`."


class Seal(Protocol):
    """Seals and opens with a key, for one user and purpose."""

    def seal(self, key: bytes, user_id: str, purpose: str, secret: bytes) -> bytes:
        """Return `secret`, sealed."""

    def open(self, key: bytes, user_id: str, purpose: str, sealed: bytes) -> bytes:
        """Return the secret in `sealed`; raises Invalid."""


Sealer = Callable[[], Seal]
"""Loads what seals, when it is needed for the first time: the library for it takes a while, and may be missing."""


def no_seal() -> Seal:
    """Refuse: a world without the library seals nothing. Raises WrongSetting."""
    raise WrongSetting(NO_LIBRARY)


class KeyfileVault:
    """Derives every key from one master key, also the one that seals."""

    def __init__(self, master: bytes, sealer: Sealer = no_seal) -> None:
        """Derive from `master`, a secret of at least 32 bytes."""
        self._master = master
        self._sealer = sealer
        self._keys: dict[str, bytes] = {}

    async def seal(self, user_id: str, purpose: str, secret: bytes) -> bytes:
        """Return `secret`, sealed. Raises WrongSetting without the library."""
        return FORMAT + self._sealer().seal(self.key(SEAL), user_id, purpose, secret)

    async def open(self, user_id: str, purpose: str, sealed: bytes) -> bytes:
        """Return the secret in `sealed`; raises Invalid, and WrongSetting without the library."""
        if not sealed.startswith(FORMAT):
            raise Invalid(OTHER)
        return self._sealer().open(self.key(SEAL), user_id, purpose, sealed[len(FORMAT) :])

    def key(self, purpose: str) -> bytes:
        """Return the 32 bytes of `purpose`, always the same for one master key."""
        if purpose not in self._keys:
            self._keys[purpose] = key_for(self._master, purpose)
        return self._keys[purpose]


def open_vault(folder: Path, master_key: str | None = None, sealer: Sealer = no_seal) -> KeyfileVault:
    """Open the vault with `master_key` (KIRA_MASTER_KEY), or with the key file in `folder`, made if missing.

    Raises WrongSetting, with what to do, for a short key, and for a file that is damaged or that others can read.
    """
    if master_key is not None:
        return vault_of(master_key, "KIRA_MASTER_KEY", sealer)
    path = folder / FILE_NAME
    try:
        if not path.exists():
            make_key_file(path)
        return KeyfileVault(_read(path), sealer)
    except OSError as found:
        raise WrongSetting(f"The key file {path} cannot be used: {found.strerror}. Check KIRA_DATA.") from found


def vault_of(master_key: str, name: str, sealer: Sealer = no_seal) -> KeyfileVault:
    """Open the vault with a text that `name` gives. Raises WrongSetting for a short one."""
    if len(master_key) < MASTER_KEY_CHARACTERS_MIN:
        raise WrongSetting(f"{name} is too short: give at least {MASTER_KEY_CHARACTERS_MIN} characters.")
    return KeyfileVault(master_key.encode("utf-8", "surrogateescape"), sealer)


def make_key_file(path: Path) -> None:
    """Write a new key beside `path` and link it there, so that nobody ever reads half a key and the first maker wins.

    Leaves a key file that is there already alone. Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return  # Another process was first; its key counts.
        _keep_name(path.parent)
    finally:
        fresh.unlink()


def _keep_name(folder: Path) -> None:
    """Make the new file's name survive a power loss, where folders can be synchronised."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        text = file.read(1024)
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise WrongSetting(f"Others can read the key file {path}. Run `chmod 600 {path}` and start Kira again.")
    try:
        master = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        master = b""
    if len(master) != KEY_BYTES:
        raise WrongSetting(f"The key file {path} is damaged. Put it back from a backup; a new key ends all sessions.")
    return master
