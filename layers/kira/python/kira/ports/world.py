"""World: all ports together; each home makes its own."""

from __future__ import annotations

from typing import Protocol

from kira.ports.clock import Clock
from kira.ports.database import Database
from kira.ports.engine import Engine
from kira.ports.queue import Queue
from kira.ports.stream import Stream
from kira.ports.vault import Vault


class World(Protocol):
    """What services may ask of the place where they run."""

    @property
    def clock(self) -> Clock: ...
    @property
    def database(self) -> Database: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def stream(self) -> Stream: ...
    @property
    def vault(self) -> Vault: ...
