"""Where the server is, and how much of it this process may use."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Protocol

from kira.domain.limits import (
    DATABASE_CONNECT_SECONDS_MAX,
    DATABASE_CONNECTIONS_MAX,
    DATABASE_CONNECTIONS_MIN,
    DATABASE_POOL_SECONDS_MAX,
    REPLICA_LAG_SECONDS_MAX,
    REPLICA_SECONDS_MAX,
    TRANSACTION_SECONDS_MAX,
)

SCHEMA = "kira"
EMBEDDED_DATABASE = "kira"
OWNER, APPLICATION, WORKER, SEARCH = "kira_owner", "kira_app", "kira_worker", "kira_search"
"""The roles: the first owns the tables and serves nobody, the second signs in, the others are put on for one task."""


class SignIn(Protocol):
    """Where the password comes from when the address has none: a secret that is rotated, or a token of minutes."""

    async def password(self, *, refused: bool = False) -> str:
        """Return the password for one connection; another than before when that was `refused`."""


@dataclass(frozen=True, slots=True)
class PostgresConfig:
    """`address` is a URL or a connection string of the application's role.

    At most `connections` are open at once. In seconds: `wait_s` is how long a statement may wait for one of them,
    `connect_s` how long the server may take to answer at all, `hold_s` how long a transaction may idle, and `wake_s`
    how long is tried to reach a server that sleeps while nobody asks.
    """

    address: str
    connections: int = DATABASE_CONNECTIONS_MAX
    connections_kept: int = DATABASE_CONNECTIONS_MIN
    wait_s: float = DATABASE_POOL_SECONDS_MAX
    connect_s: float = DATABASE_CONNECT_SECONDS_MAX
    hold_s: float = TRANSACTION_SECONDS_MAX
    wake_s: float = 0.0
    sign_in: SignIn | None = None
    name: str = f"kira {socket.gethostname()} {os.getpid()}"

    @property
    def options(self) -> dict[str, object]:
        """What every connection of Kira's is opened with; nothing that a transaction pooler would refuse."""
        return {
            "autocommit": True,
            # A pooler hands a prepared statement of one client to the server connection of another. The library cannot
            # tell; `exchange` keeps statements by itself where no pooler is in between.
            "prepare_threshold": None,
            "connect_timeout": max(1, round(self.connect_s)),
            "application_name": self.name[:63],
            "keepalives_idle": 30,
            "tcp_user_timeout": 30_000,
        }


@dataclass(frozen=True, slots=True)
class ReplicaConfig(PostgresConfig):
    """Where a replica is; in seconds, `wait_s` is how long it may take to answer and `lag_s` how far it may lag.

    No connection is kept while nobody asks: the pool of a server that is away would try and try again.
    """

    connections_kept: int = 0
    wait_s: float = REPLICA_SECONDS_MAX
    lag_s: float = REPLICA_LAG_SECONDS_MAX
