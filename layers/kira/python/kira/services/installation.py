"""The installation: what must be the same in every process on the same data."""

from __future__ import annotations

from kira.domain.errors import WrongSetting
from kira.ports.database import Call, Database
from kira.ports.vault import Vault

MARK = {"name": "master key"}
OTHER_KEY = (
    "The master key here is not the one that this database was begun with, so nobody could sign in on every host. "
    "Give every host the same KIRA_MASTER_KEY. If the key is lost, `kira db init ADDRESS --new-key` begins with a new "
    "one, and everybody signs in again."
)


async def check_key(database: Database, vault: Vault) -> None:
    """Raise WrongSetting when another process on this `database` has another master key; the first one counts."""
    await database.system.run([Call("marks.keep", {**MARK, "value": _fingerprint(vault)})])
    if await is_other_key(database, vault):
        raise WrongSetting(OTHER_KEY)


async def is_other_key(database: Database, vault: Vault) -> bool:
    """Say whether this `database` was begun with another master key than that of `vault`."""
    rows = await database.system.query("marks.read", MARK)
    return bool(rows) and rows[0]["value"] != _fingerprint(vault)


def _fingerprint(vault: Vault) -> str:
    return vault.key("fingerprint")[:16].hex()
