"""Local: which adapter keeps each promise on one computer."""

from __future__ import annotations

from functools import cached_property

from kira.adapters.clock.system import SystemClock
from kira.adapters.queue.table import TableQueue
from kira.adapters.stream.process import ProcessStream
from kira.adapters.vault.keyfile import open_vault
from kira.local.settings import LocalSettings
from kira.ports.clock import Clock
from kira.ports.database import Database
from kira.ports.engine import Engine
from kira.ports.queue import Queue
from kira.ports.stream import Stream
from kira.ports.vault import Vault
from kira.services.findings import Findings


class Local:
    """The world of one computer; what is loaded is decided here, on first use."""

    def __init__(self, settings: LocalSettings, *, works: bool = True) -> None:
        """Use `settings`; when another process `works` on the runs, the stream looks to the table every second."""
        self.settings = settings
        self.clock: Clock = SystemClock()
        self.stream: Stream = ProcessStream() if works else ProcessStream(silence_s=1.0)

    @cached_property
    def database(self) -> Database:
        """One SQLite file in KIRA_DATA."""
        from kira.adapters.database.sqlite import SqliteConfig, create_database

        return create_database(SqliteConfig(self.settings.database_file))

    @cached_property
    def queue(self) -> Queue:
        """The runs table."""
        return TableQueue(self.database, self.clock)

    @cached_property
    def vault(self) -> Vault:
        """A key file in KIRA_DATA, or KIRA_MASTER_KEY."""
        return open_vault(self.settings.data, self.settings.master_key)

    @cached_property
    def engine(self) -> Engine:
        """Ollama servers, and the demo model."""
        from kira.adapters.engine.ollama import OllamaConfig
        from kira.adapters.engine.several import open_engine

        settings = self.settings
        config = OllamaConfig(
            settings.ollama,
            slots=settings.slots,
            num_parallel=settings.ollama_num_parallel,
            context=settings.context,
            keep_alive=settings.keep_alive,
            vram_mib=settings.vram_mib,
            card_mib=_card_mib,
            findings=Findings(self.database, self.clock),
        )
        return open_engine(config, settings.model)

    async def close(self) -> None:
        """Close what was opened."""
        if "engine" in self.__dict__:
            await self.engine.close()
        if "database" in self.__dict__:
            await self.database.close()


def _card_mib() -> int | None:
    from kira.adapters.engine.vram import card_mib  # the driver's library takes 0.1 s to load, and is rarely needed

    return card_mib()
