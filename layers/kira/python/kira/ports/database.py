"""The database: named statements only, and a tenant's view that sees one user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from kira.domain.search import Query

Row = Mapping[str, Any]
Params = Mapping[str, Any]
T = TypeVar("T")


class NoRow(Exception):
    """A statement that had to give a row gave none, so nothing of its batch happened."""

    def __init__(self, name: str) -> None:
        """Remember the `name` of the statement."""
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Call:
    """One statement of a batch: its name (`file.statement`), its parameters without `user_id`.

    With `must` the batch is undone and NoRow raised when the statement gives no row
    (or changes none, when it returns none).
    """

    name: str
    params: Params = field(default_factory=dict)
    must: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement gave: its rows, and how many rows it changed."""

    rows: list[Row]
    changes: int


class Transaction(Protocol):
    """Statements that happen together or not at all."""

    async def query(self, name: str, params: Params | None = None) -> list[Row]:
        """Run the statement `name` and return its rows."""

    async def execute(self, name: str, params: Params | None = None) -> int:
        """Run the statement `name` and return how many rows it changed."""


class Statements(Transaction, Protocol):
    """A way into the database: one user's (tenant) or the narrow one across users (system)."""

    async def run(self, calls: Sequence[Call]) -> list[Result]:
        """Run `calls` in one transaction and one round trip; raises NoRow when a `must` call has none."""

    async def look(self, front: Sequence[Call], calls: Sequence[Call]) -> list[Result]:
        """Run `front`, then `calls`, which only read; as with `run`, but a replica may answer `calls`.

        It does so only where it shows all that this user wrote before. When `front` is refused, nothing is told.
        Raises UnprovenStatement when one of `calls` writes.
        """

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction for work that reads, decides and writes; an exception undoes it."""

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction and return what it returns."""


class Database(Protocol):
    """The database of this home. `create_database(config)` of a world makes it."""

    def of(self, user_id: str) -> Statements:
        """Return the way in that sees only `user_id`; it sets `:user_id` itself and refuses system statements."""

    @property
    def system(self) -> Statements:
        """The way in across users: sign-in, claiming runs, the clock and admin counts; system statements only."""

    @property
    def executed(self) -> int:
        """How many statements were run since the start; for metrics."""

    def match(self, query: Query, user_id: str) -> str:
        """Return the `:match` parameter of `search.messages` in this database's own full-text language."""

    async def close(self) -> None:
        """Finish what runs and close."""
