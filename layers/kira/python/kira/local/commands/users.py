"""`kira users`: add and list the users of one data folder, whether Kira runs or not."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kira.domain.accounts import AccountsMode, User, checked_password, normal_email
from kira.domain.moments import to_text
from kira.local import terminal
from kira.local.lock import share
from kira.local.settings import LocalSettings, read
from kira.local.world import Local
from kira.ports.database import Row
from kira.services.accounts import Accounts
from kira.services.enrolment import Form

HEADINGS = ("E-mail", "Name", "Role", "Added", "Last here")


def add(email: str, name: str | None, *, admin: bool, data: Path | None) -> None:
    """Add a user and say what that changed; raises Invalid, and Conflict for an e-mail that is taken."""
    settings = read(data=data)
    email = normal_email(email)
    form = Form(email, checked_password(settings.password or terminal.new_password()), name)
    with share(settings.data):
        user, is_untitled, has_taken_over = asyncio.run(_add(settings, form, admin=admin))
    print(f"Added {user.email} as {'an admin' if user.role == 'admin' else 'a user'}.")
    if is_untitled:
        for line in _first(settings.accounts, taken_over=has_taken_over):
            print(line)


def show(data: Path | None) -> None:
    """Print every user with when they were last here."""
    settings = read(data=data)
    rows: list[Row] = []
    if not settings.uses_file:
        rows = asyncio.run(_all(settings))  # nothing restores a server's data here, and looking makes no folder
    elif settings.database_file.is_file():
        with share(settings.data):
            rows = asyncio.run(_all(settings))
    if not rows:
        print("There are no users yet. The first start of `kira up` makes the one of the single-user mode.")
        return
    terminal.table(HEADINGS, [_line(row) for row in rows])


async def _add(settings: LocalSettings, form: Form, *, admin: bool) -> tuple[User, bool, bool]:
    world = Local(settings)
    try:
        accounts = Accounts(world.database, world.clock, world.vault, settings.accounts)
        is_untitled = not await accounts.enrolment.accounts_exist()
        local = await world.database.system.query("accounts.local")
        user = await accounts.add_user(form, admin=admin)
        return user, is_untitled, bool(local) and local[0]["id"] == user.id
    finally:
        await world.close()


async def _all(settings: LocalSettings) -> list[Row]:
    world = Local(settings)
    try:
        return await world.database.system.query("users.all", {"now": world.clock.now()})
    finally:
        await world.close()


def _first(mode: AccountsMode, *, taken_over: bool) -> list[str]:
    lines = ["Accounts are on now: everybody signs in with e-mail and password, and the first user is an admin."]
    if taken_over:
        lines.append(
            "They have everything that was written in the single-user mode; the address that Kira printed no longer "
            "signs anybody in."
        )
    if mode is AccountsMode.OFF:
        lines.append("Others come by invitation or by `kira users add`; KIRA_ACCOUNTS=open lets anybody sign up.")
    lines.append("A Kira that runs knows this already; the limits for many users begin with its next start.")
    return lines


def _line(row: Row) -> tuple[str, ...]:
    email = row["email"] or "(the single user)"
    role = row["role"] + (", disabled" if row["disabled_at"] is not None else "")
    return (email, row["name"], role, _minute(row["created_at"]), _minute(row["seen_at"]) or "not lately")


def _minute(moment: int | None) -> str:
    """Return `moment` (microseconds) to the minute, in UTC."""
    return "" if moment is None else to_text(moment)[:16].replace("T", " ") + " UTC"
