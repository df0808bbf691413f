"""`kira migrate`: everything from one database to another, resumable, compared at the end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from kira.adapters.database.moving import postgres_reader, sqlite_reader
from kira.adapters.database.moving.failures import HANDLED, why
from kira.adapters.database.moving.move import ROWS_A_BATCH, Looked, begin, carry_out, look
from kira.adapters.database.moving.postgres_reader import PostgresReader
from kira.adapters.database.moving.postgres_target import PostgresTarget
from kira.adapters.database.moving.sample import seconds_for
from kira.adapters.database.moving.sqlite_reader import SqliteReader
from kira.adapters.database.moving.sqlite_target import SqliteTarget
from kira.domain.errors import Conflict, Invalid, KiraError, NotFound
from kira.local import terminal
from kira.local.commands import migrate_words
from kira.local.commands.migrate_words import Side
from kira.local.lock import FILE_NAME as LOCK_FILE
from kira.local.lock import alone
from kira.local.settings import LocalSettings, read


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for beside FROM and TO."""

    dry_run: bool = False
    back: bool = False
    anew: bool = False
    while_running: bool = False
    batch: int = ROWS_A_BATCH

    @property
    def needs_quiet(self) -> bool:
        """Say whether nobody may write to FROM meanwhile."""
        return not self.while_running and not self.dry_run


Target = SqliteTarget | PostgresTarget
Reader = SqliteReader | PostgresReader


def move(source: str, target: str, options: Options, *, data: Path | None) -> None:
    """Move everything, or go on with it. Raises KiraError with what to do; then FROM is as it was."""
    settings = read(data=data)
    one, two = _side(source, settings), _side(target, settings)
    if one == two or (isinstance(one.place, Path) and isinstance(two.place, Path) and _same(one.place, two.place)):
        raise Invalid("FROM and TO are the same.")
    with ExitStack() as stack:
        try:
            _hold(stack, one, two, options)
            reader = stack.enter_context(closing(_open_source(one, options)))
            into = stack.enter_context(closing(_open_target(two)))
            _refuse_same(reader, into)
            _make_room(reader, into, options)
            if options.dry_run:
                return
            looked = begin(reader, into, anew=options.anew, batch=options.batch)
            moved = carry_out(reader, into, looked, terminal.progress, options.batch)
        except HANDLED as error:
            raise KiraError(_stopped(why(error))) from None
        except KeyboardInterrupt:
            raise KiraError(_stopped("you said so")) from None
    print(migrate_words.done(moved, one.shown, two.shown))
    print(migrate_words.afterwards(settings, one, two, looked.running))


def _side(given: str, settings: LocalSettings) -> Side:
    if given == "sqlite":
        return Side(settings.database_file.absolute())
    if given.startswith(("postgresql://", "postgres://")) or re.match(r"\w+\s*=", given):
        try:
            conninfo_to_dict(given)
        except ProgrammingError:
            raise Invalid(
                "That is no address of a PostgreSQL. Write postgresql://user:password@host/database."
            ) from None
        return Side(given)
    if "://" in given:
        raise Invalid(
            f"Kira cannot move to or from {given.partition('://')[0]}://. Name sqlite, a file or postgresql://."
        )
    return Side(Path(given).expanduser().absolute())


def _same(one: Path, two: Path) -> bool:
    return one.resolve() == two.resolve() or (one.exists() and two.exists() and one.samefile(two))


def _hold(stack: ExitStack, one: Side, two: Side, options: Options) -> None:
    """Keep every Kira off the data folders of both sides while everything moves."""
    held: set[Path] = set()
    for side in (two, one):
        if not isinstance(side.place, Path) or (side is one and not options.needs_quiet):
            continue
        folder = side.place.parent.resolve()
        if options.dry_run and not folder.exists():
            continue
        is_data = (folder / LOCK_FILE).exists() or (side is two and side.place.name == "kira.sqlite")
        if is_data and folder not in held and (side is two or os.access(folder, os.W_OK)):
            held.add(folder)
            stack.enter_context(_alone(folder, is_source=side is one))


@contextmanager
def _alone(folder: Path, *, is_source: bool) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(folder))
        except Conflict as error:
            hint = " Or say --while-running to move what it holds at this moment; what is written later stays behind."
            raise Conflict(error.message + (hint if is_source else "")) from None
        yield


def _open_source(side: Side, options: Options) -> Reader:
    if isinstance(side.place, Path):
        if not side.place.is_file():
            raise NotFound(f"There is no file {side.place}, so there is nothing to move.")
        return sqlite_reader.open_source(side.place)
    reader = postgres_reader.open_source(side.place)
    if options.needs_quiet and postgres_reader.others(reader.connection):
        reader.close()
        raise Conflict(
            "A Kira runs on FROM. Stop it first, or say --while-running to move what it holds at this moment; "
            "what is written later stays behind."
        )
    return reader


def _open_target(side: Side) -> Target:
    return SqliteTarget(side.place) if isinstance(side.place, Path) else PostgresTarget(side.place)


def _refuse_same(reader: Reader, into: Target) -> None:
    if isinstance(reader, PostgresReader) and isinstance(into, PostgresTarget):
        same = postgres_reader.identity(reader.connection) == postgres_reader.identity(into.connection)
        if same:
            raise Invalid("FROM and TO are the same database.")


def _make_room(reader: Reader, into: Target, options: Options) -> None:
    """Make TO ready, and say where what it held is kept; only look, if no more was asked for."""
    unfinished = into.begun() is not None
    users = None if unfinished else into.users()
    if options.dry_run:
        ready = into.reader if unfinished or users is not None else None
        looked = look(reader, ready, same_kind=reader.kind == into.kind)
        _tell(looked, seconds_for(reader, into, looked))
        print(
            migrate_words.what_would_happen(users, into.begun() if unfinished else None, looked.mark, back=options.back)
        )
        return
    if users and not options.back:
        raise Conflict(
            f"TO already holds {terminal.counted(users, 'user')}, so nothing was changed. Name an empty one; "
            "if it is the old side, say --back: what it holds is then kept under another name."
        )
    if users:
        print(f"What TO held before is kept as {into.set_aside()}.", flush=True)
    address = into.make_ready()
    if address:
        print(f"TO was made ready for Kira. Keep this, it is not shown again: KIRA_DATABASE='{address}'", flush=True)


def _tell(looked: Looked, seconds: float) -> None:
    terminal.table(("table", "rows"), [(name, str(rows)) for name, rows in looked.counts.items()])
    print(f"This takes about {migrate_words.duration(seconds)}.")


def _stopped(reason: str) -> str:
    return (
        f"The migration stopped: {reason}. Nothing is lost: FROM is as it was. "
        "Say the same command again, and it goes on where it stopped."
    )
