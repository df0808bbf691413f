"""What the doctor looks at on this computer: folder, database, key, port, dashboard, accounts."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from kira.adapters.database import places
from kira.adapters.database.schema import steps
from kira.adapters.vault.keyfile import FILE_NAME as KEY_FILE
from kira.adapters.vault.keyfile import open_vault
from kira.domain.accounts import AccountsMode
from kira.domain.errors import WrongSetting
from kira.local.commands.copy_checks import copies
from kira.local.commands.findings import Finding, State
from kira.local.lock import address_of
from kira.local.server import DASHBOARD, listen
from kira.local.settings import LocalSettings
from kira.local.terminal import counted

FREE_BYTES_LITTLE = 1_000_000_000
FREE_BYTES_NONE = 50_000_000
HEALTH_SECONDS = 2


def here(settings: LocalSettings) -> Iterator[Finding]:
    """Look at everything on this computer, without changing it; a database server is looked at elsewhere."""
    yield _folder(settings.data)
    if settings.uses_file:
        yield from _file(settings)
    yield _port(settings)
    yield _dashboard()


def _file(settings: LocalSettings) -> Iterator[Finding]:
    path = settings.database_file
    if path.is_file():
        yield _database(path)
        yield _accounts(settings.accounts, path)
    else:
        yield Finding(State.OK, "database", f"none yet; the first `kira up` makes {path}")
        yield Finding(State.OK, "accounts", f"{settings.accounts.value} (KIRA_ACCOUNTS)")
    if settings.uses_file:
        yield from copies(settings)
    yield _key(settings)


def _folder(folder: Path) -> Finding:
    if not folder.exists():
        return Finding(State.OK, "data folder", f"{folder} is not there yet; the first `kira up` makes it")
    try:
        places.check(folder)
    except WrongSetting as error:
        return Finding(State.WRONG, "data folder", error.message)
    free = shutil.disk_usage(folder).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free < FREE_BYTES_NONE:
        return Finding(State.WRONG, "data folder", found, "Free some room: Kira cannot store messages much longer.")
    if folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~(stat.S_IXGRP | stat.S_IXOTH):
        return Finding(State.WARNING, "data folder", f"{found}; others may look into it", f"chmod 700 {folder}")
    if free < FREE_BYTES_LITTLE:
        return Finding(State.WARNING, "data folder", found, "Free some room before it runs out.")
    return Finding(State.OK, "data folder", found)


def _database(path: Path) -> Finding:
    newest = steps()[-1].number
    try:
        with closing(reading(path)) as connection:
            damage = " ".join(connection.execute("PRAGMA quick_check(1)").fetchone()[0].split())  # one line
            step = connection.execute("SELECT MAX(number) FROM schema_steps").fetchone()[0]
            messages = connection.execute("SELECT COUNT(*) FROM messages").fetchone()[0]
    except sqlite3.Error as error:
        return Finding(State.WRONG, "database", f"{path} cannot be read ({error})", "Try `kira restore` with a backup.")
    found = f"{path}, {path.stat().st_size / 1e6:.1f} MB, {counted(messages, 'message')}, schema step {step}"
    if damage != "ok":
        return Finding(State.WRONG, "database", f"{found}: damaged ({damage})", "Restore a backup: `kira restore`.")
    if step > newest:
        return Finding(State.WRONG, "database", f"{found}: of a newer Kira", "Install the newer version again.")
    if step < newest:
        advice = f"The next start brings it to step {newest}, after a snapshot."
        return Finding(State.WARNING, "database", found, advice)
    return Finding(State.OK, "database", f"{found}, whole")


def _accounts(mode: AccountsMode, path: Path) -> Finding:
    try:
        with closing(reading(path)) as connection:
            users = connection.execute("SELECT COUNT(*) FROM users WHERE local = 0").fetchone()[0]
    except sqlite3.Error as error:
        return Finding(State.WRONG, "accounts", f"cannot be counted ({error})")
    if not users and mode is AccountsMode.OFF:
        return Finding(State.OK, "accounts", "off: one user, who signs in with the printed address")
    really = AccountsMode.INVITE if mode is AccountsMode.OFF else mode
    why = "because there are users" if mode is AccountsMode.OFF else "by KIRA_ACCOUNTS"
    if not users:
        return Finding(
            State.WARNING, "accounts", f"{really.value} ({why}), 0 users", "The first to sign up is the admin."
        )
    return Finding(State.OK, "accounts", f"{really.value} ({why}), {counted(users, 'user')}")


def _key(settings: LocalSettings) -> Finding:
    path = settings.data / KEY_FILE
    if settings.master_key is None and not path.exists():
        if settings.database_file.is_file():
            advice = (
                f"Put {path} back from your copy. A new one is made at the next start, and everybody signs in again."
            )
            return Finding(State.WARNING, "master key", "missing", advice)
        return Finding(State.OK, "master key", f"none yet; the first `kira up` makes {path}")
    try:
        open_vault(settings.data, settings.master_key)
    except WrongSetting as error:
        return Finding(State.WRONG, "master key", error.message)
    return Finding(
        State.OK, "master key", "from KIRA_MASTER_KEY" if settings.master_key else f"{path}, only yours to read"
    )


def _port(settings: LocalSettings) -> Finding:
    told = address_of(settings.data)
    if told is not None:
        version = _version(told)
        if version:
            return Finding(State.OK, "address", f"Kira {version} runs at {told}")
        return Finding(State.WARNING, "address", f"Kira runs at {told}, but does not answer", "It may be starting.")
    wanted = f"http://{settings.host}:{settings.port}"
    try:
        listen(settings).close()
    except WrongSetting as error:
        version = _version(wanted)
        if version:
            advice = "`kira up` needs another KIRA_PORT."
            return Finding(State.WARNING, "address", f"Kira {version} runs at {wanted}, on other data", advice)
        return Finding(State.WRONG, "address", error.message)
    return Finding(State.OK, "address", f"{wanted} is free")


def _dashboard() -> Finding:
    if (DASHBOARD / "index.html").is_file():
        return Finding(State.OK, "dashboard", "built")
    return Finding(State.WARNING, "dashboard", "not built; the API works without it", "Run `make run` in the checkout.")


def _version(address: str) -> str | None:
    """Return the version of the Kira at `address`; None when none answers there."""
    try:
        with urllib.request.urlopen(f"{address}/api/health", timeout=HEALTH_SECONDS) as answer:  # noqa: S310 - http only
            found = json.loads(answer.read(10_000))
    except (OSError, ValueError):
        return None
    return str(found.get("version", "")) or None if isinstance(found, dict) and "status" in found else None


def reading(path: Path) -> sqlite3.Connection:
    """Open the database at `path` without a way to change it."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
