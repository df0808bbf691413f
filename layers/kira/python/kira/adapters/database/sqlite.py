"""The database as one SQLite file: the standard library, one writing lane, a few reading ones."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kira.adapters.database import fts5, places, schema
from kira.adapters.database.authorizer import Reach, reaches
from kira.adapters.database.catalogue import Catalogue, load
from kira.adapters.database.failures import kira_error
from kira.adapters.database.holds import Hold
from kira.adapters.database.keeper import Keeper
from kira.adapters.database.lanes import Item, Lane
from kira.adapters.database.mail import Mail, Work
from kira.adapters.database.session import BUSY_SECONDS, Filled, Session, connect
from kira.adapters.database.ways import SqliteStatements
from kira.domain.errors import Unavailable
from kira.domain.limits import DATABASE_WAITING_MAX, TRANSACTION_SECONDS_MAX
from kira.domain.search import Query
from kira.ports.database import Result, Statements


@dataclass(frozen=True, slots=True)
class SqliteConfig:
    """Where the file lies and how many lanes read it.

    `max_pages` bounds the file (for tests of a full disk). In seconds: `hold_s` is how long a transaction may take,
    `busy_s` how long to wait for another process. Unless Kira `folds` the journal into the file, another program does.
    """

    path: Path
    readers: int = 2
    max_pages: int | None = None
    hold_s: float = TRANSACTION_SECONDS_MAX
    busy_s: float = BUSY_SECONDS
    folds: bool = True


def create_database(config: SqliteConfig, catalogue: Catalogue | None = None) -> SqliteDatabase:
    """Open the file of `config`, bring its schema up to date, and return the database.

    Raises WrongSetting when the folder cannot hold a database or the file belongs to a newer Kira, and
    UnprovenStatement when a tenant statement of `catalogue` (default: the package's) has no proof.
    """
    catalogue = catalogue or load("sqlite")
    places.check(config.path.parent)
    places.check_file(config.path)
    keeper = None if config.folds else Keeper(config.path)
    try:
        schema.bring_up_to_date(config.path, folds=config.folds)
        return SqliteDatabase(config, catalogue, keeper)
    except BaseException as error:
        if keeper is not None:
            keeper.close()
        if isinstance(error, sqlite3.Error):
            raise kira_error(error, "its first statement") from error
        raise


class SqliteDatabase:
    """Keeps the Database promise with lanes of threads."""

    def __init__(self, config: SqliteConfig, catalogue: Catalogue, keeper: Keeper | None = None) -> None:
        """Start the lanes on a file whose schema is up to date; `keeper` is closed last. Raises sqlite3.Error."""
        self.catalogue = catalogue
        self.executed = 0
        self._config = config
        self._mail: Mail | None = None
        self._is_closed = False
        self._keeper = keeper
        self._writing: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._reading: queue.SimpleQueue[Item] = queue.SimpleQueue()
        with closing(sqlite3.connect(config.path, isolation_level=None)) as connection:
            reached = reaches(connection)
        self._lanes = [
            self._lane(number, reached, self._reading if number else self._writing)
            for number in range(config.readers + 1)
        ]
        self._system = SqliteStatements(self, None)
        if keeper is not None:
            keeper.hold()  # a file that is new, or was restored, has its journal only now

    def of(self, user_id: str) -> Statements:
        """Return the way in that sees only `user_id`."""
        return SqliteStatements(self, user_id)

    @property
    def system(self) -> Statements:
        """The way in across users."""
        return self._system

    def match(self, query: Query, user_id: str) -> str:
        """Return the FTS5 text of `query`."""
        return fts5.match(query, user_id)

    def submit(self, filled: Sequence[Filled]) -> asyncio.Future[list[Result]]:
        """Run `filled` together, in the writing lane if one of them writes."""
        self.executed += len(filled)
        work = Work(self._post(), filled)
        self._put(self._writing if any(statement.writes for statement, _, _ in filled) else self._reading, work)
        return work.future

    def hold(self) -> Hold:
        """Ask for the writing lane."""
        held = Hold(self._post(), self._config.hold_s)
        self._put(self._writing, held)
        return held

    async def close(self) -> None:
        """Finish what runs and close; what comes later is refused."""
        if self._is_closed:
            return
        self._is_closed = True
        # The writing lane closes last and alone, so that SQLite puts the journal into the file and removes it.
        writer, *readers = self._lanes
        for _ in readers:
            self._reading.put(None)
        for lane in readers:
            await asyncio.to_thread(lane.join)
        self._writing.put(None)
        await asyncio.to_thread(writer.join)
        if self._keeper is not None:
            self._keeper.close()

    def _lane(self, number: int, reached: Mapping[str, Reach], waiting: queue.SimpleQueue[Item]) -> Lane:
        config = self._config
        connection = connect(
            config.path, reads_only=number > 0, pages_max=config.max_pages, busy_s=config.busy_s, folds=config.folds
        )
        name = f"kira-read-{number}" if number else "kira-write"
        return Lane(name, Session(connection, reached), waiting, writes=not number)

    def _put(self, waiting: queue.SimpleQueue[Item], item: Work | Hold) -> None:
        if self._is_closed:
            raise Unavailable("Kira is stopping. Try again.", retry_after_s=1)
        if waiting.qsize() >= DATABASE_WAITING_MAX:
            raise Unavailable("The database has too much to do. Try again.", retry_after_s=1)
        waiting.put(item)

    def _post(self) -> Mail:
        loop = asyncio.get_running_loop()
        if self._mail is None or self._mail.loop is not loop:
            self._mail = Mail(loop)
        return self._mail
