"""`kira export`: one user's conversations in a file that outlives Kira, read a little at a time."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kira import __version__
from kira.domain.accounts import User, normal_email
from kira.domain.errors import Invalid, KiraError, NotFound
from kira.domain.moments import to_text
from kira.local import terminal
from kira.local.lock import share
from kira.local.settings import LocalSettings, read
from kira.local.world import Local
from kira.ports.database import Call, Database, Row, Statements
from kira.services.sessions import user_of

FORMAT = 1
CONVERSATIONS_A_READ = 200
MESSAGES_A_READ = 32  # a message may hold a megabyte
KINDS = (".json", ".md")


def write(target: Path, *, email: str | None, data: Path | None) -> None:
    """Write the conversations of one user to `target`, which appears only when it is whole.

    Raises Invalid for a target that cannot be, NotFound for an unknown e-mail.
    """
    if target.suffix not in KINDS:
        raise Invalid(f"{target} should end in .json (everything, all branches) or .md (what is shown, to read).")
    if target.exists():
        raise Invalid(f"{target} is there already. Choose another name, or remove it first.")
    settings = read(data=data)
    if settings.uses_file and not settings.database_file.is_file():
        raise NotFound(f"There is no data in {settings.data} yet, so there is nothing to export.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file, share(settings.data):
            told = asyncio.run(_write(settings, email, file, is_json=target.suffix == ".json"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as found:
        raise KiraError(f"{target} cannot be written: {found.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
    print(f"Wrote {told} to {target} ({target.stat().st_size / 1_000_000:.1f} MB).")


async def _write(settings: LocalSettings, email: str | None, file: IO[str], *, is_json: bool) -> str:
    world = Local(settings)
    try:
        user = await _whose(world.database, email)
        rows = world.database.of(user.id)
        in_all = int((await rows.query("export.messages_count"))[0]["messages"])
        with terminal.progress("Exporting") as tell:
            export = Export(rows, file, tell, in_all)
            if is_json:
                await export.json(user, to_text(world.clock.now()))
            else:
                await export.markdown()
        conversations = terminal.counted(export.conversations, "conversation")
        messages = terminal.counted(export.messages, "message")
        return f"{conversations} with {messages} of {user.email or 'the single user'}"
    finally:
        await world.close()


async def _whose(database: Database, email: str | None) -> User:
    if email is not None:
        found = await database.system.query("accounts.by_email", {"email": normal_email(email)})
        if not found:
            raise NotFound(f"There is no user {email}. `kira users list` shows who there is.")
        return user_of(found[0])
    local = await database.system.query("accounts.local")
    if not local:
        raise Invalid("Say whose conversations with --email; `kira users list` shows who there is.")
    return user_of(local[0])


@dataclass(slots=True)
class Export:
    """Writes what `rows` show to `file`; never holds more than a few messages."""

    rows: Statements
    file: IO[str]
    tell: terminal.Tell
    in_all: int
    conversations: int = 0
    messages: int = 0

    async def json(self, user: User, now: str) -> None:
        """Write everything: every conversation with all its branches."""
        head = {
            "kira": __version__,
            "format": FORMAT,
            "exported_at": now,
            "user": {"email": user.email, "name": user.name, "created_at": to_text(user.created_at)},
        }
        self.file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "conversations": [')
        async for conversation in self._conversations():
            self.file.write("\n" if self.conversations == 1 else ",\n")
            shown = _with_times(conversation, "created_at", "updated_at")
            self.file.write(json.dumps(shown, ensure_ascii=False)[:-1] + ', "messages": [')
            first = True
            async for message in self._all(conversation):
                self.file.write("\n  " if first else ",\n  ")
                first = False
                self.file.write(json.dumps(_message(message), ensure_ascii=False))
            self.file.write("]}")
        self.file.write("\n]}\n")

    async def markdown(self) -> None:
        """Write what is shown, to be read: one branch of each conversation."""
        async for conversation in self._conversations():
            self.file.write("\n---\n\n" if self.conversations > 1 else "")
            self.file.write(f"# {conversation['title']}\n\n*{_minute(conversation['created_at'])}*\n")
            async for message in self._shown(conversation):
                self.file.write(f"\n## {_speaker(message)}\n\n{message['content'].rstrip()}\n")

    async def _conversations(self) -> AsyncIterator[Row]:
        after = ""
        while page := await self.rows.query("export.conversations", {"after": after, "items": CONVERSATIONS_A_READ}):
            for row in page:
                self.conversations += 1
                yield row
            after = page[-1]["id"]

    async def _all(self, conversation: Row) -> AsyncIterator[Row]:
        params = {"conversation_id": conversation["id"], "after": "", "items": MESSAGES_A_READ}
        while page := await self.rows.query("export.messages", params):
            for row in page:
                yield row
            self._count(len(page))
            params["after"] = page[-1]["id"]

    async def _shown(self, conversation: Row) -> AsyncIterator[Row]:
        branch = await self.rows.query("export.branch", {"leaf_id": conversation["leaf_id"]})
        ids = [row["id"] for row in reversed(branch)]
        for start in range(0, len(ids), MESSAGES_A_READ):
            calls = [Call("messages.one", {"message_id": each}) for each in ids[start : start + MESSAGES_A_READ]]
            for result in await self.rows.run(calls):
                for row in result.rows:
                    yield row
            self._count(len(calls))

    def _count(self, messages: int) -> None:
        self.messages += messages
        self.tell(self.messages, self.in_all)


def _with_times(row: Row, *names: str) -> dict[str, object]:
    return {**row, **{name: to_text(row[name]) for name in names}}


def _message(row: Row) -> dict[str, object]:
    return _with_times(row, "created_at") | {"cancelled": bool(row["cancelled"])}


def _speaker(row: Row) -> str:
    if row["role"] == "user":
        return "You"
    return f"Kira ({row['model']})" + (", stopped" if row["cancelled"] else "") if row["model"] else "Kira"


def _minute(moment: int) -> str:
    return to_text(moment)[:16].replace("T", " ") + " UTC"
