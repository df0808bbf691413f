"""What `kira migrate` says when it has looked, and when it is done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kira.adapters.database.moving.move import Moved
from kira.adapters.vault.keyfile import FILE_NAME as KEY_FILE
from kira.local import terminal
from kira.local.settings import LocalSettings

_PASSWORD = re.compile(r"(://[^:/@]*):[^@/]*@|(password=)[^&\s]*")


@dataclass(frozen=True, slots=True)
class Side:
    """FROM or TO: a file or an address, and how it is shown."""

    place: Path | str

    @property
    def shown(self) -> str:
        """The path, or the address without its password."""
        return str(self.place) if isinstance(self.place, Path) else _PASSWORD.sub(_hidden, self.place)


def done(moved: Moved, one: str, two: str) -> str:
    """Say what was moved."""
    nouns = ("user", "conversation", "message")
    counted = ", ".join(terminal.counted(moved.counts.get(f"{noun}s", 0), noun) for noun in nouns)
    rows = terminal.counted(sum(moved.counts.values()), "row")
    return (
        f"Moved {counted} ({rows} in all) from {one} to {two} in {duration(moved.seconds)}; "
        f"both sides were compared and hold the same ({moved.digest})."
    )


def afterwards(settings: LocalSettings, one: Side, two: Side, running: int) -> str:
    """Say what is still to do, what must go along, and the way back."""
    said = [_use(settings, two.place)]
    if settings.master_key:
        said.append("Give it the same KIRA_MASTER_KEY: without it everybody has to sign in again.")
    else:
        key = settings.data / KEY_FILE
        which = str(key) if key.exists() else f"{KEY_FILE} of the Kira that used FROM"
        said.append(f"The master key is not in the database: {which} must go along, or everybody has to sign in again.")
    if running:
        said.append(
            f"{terminal.counted(running, 'answer')} had begun and not ended: Kira begins again when the lease is over."
        )
    told = "unset KIRA_DATABASE" if isinstance(one.place, Path) else "set KIRA_DATABASE back"
    said.append(
        f"The way back: FROM is untouched, so {told} and start Kira, without what was written since. "
        f"With all of it: stop Kira and say: kira migrate --back {_word(two.shown)} {_word(one.shown)}"
    )
    return "\n".join(said)


def what_would_happen(users: int | None, begun: str | None, mark: str, *, back: bool) -> str:
    """Say what a migration would do with TO, or why it would be refused."""
    if begun is not None and begun != mark:
        return "It would be refused: another migration into TO did not finish, or FROM was written to since (--anew)."
    if begun is not None:
        return "An unfinished migration would go on. Nothing was changed."
    if users and not back:
        return f"It would be refused: TO already holds {terminal.counted(users, 'user')}. Nothing was changed."
    if users:
        return f"TO's {terminal.counted(users, 'user')} would be kept under another name. Nothing was changed."
    return (
        "TO would be made ready first. Nothing was changed." if users is None else "TO is empty. Nothing was changed."
    )


def duration(seconds: float) -> str:
    """Return `3 s` or `4 min`."""
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{round(seconds / 60)} min"


def _use(settings: LocalSettings, to: Path | str) -> str:
    if not isinstance(to, Path):
        return "Set KIRA_DATABASE to the address of the application's role there (kira_app), then start Kira."
    if to == settings.database_file.absolute():
        return "Leave KIRA_DATABASE unset, or set it to sqlite, then start Kira."
    return f"Put it in place with `kira restore {to}`, leave KIRA_DATABASE unset, then start Kira."


def _word(shown: str) -> str:
    return f"'{shown}'" if " " in shown or "?" in shown else shown


def _hidden(found: re.Match[str]) -> str:
    return f"{found[1]}:...@" if found[1] is not None else f"{found[2]}..."
