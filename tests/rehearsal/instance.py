"""An instance of the fleet as its worker sees it: EC2 answers it about itself, from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web
from tests.fleet.metadata import Metadata

PATIENCE_SECONDS = 10
Got = TypeVar("Got")


class Instance:
    """One instance; the group takes it back when `metadata` says so."""

    def __init__(self, name: str) -> None:
        """Begin to answer."""
        self.metadata = Metadata(name)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = self._call(self._begin())
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def close(self) -> None:
        """Answer no more."""
        if self._loop.is_running():
            self._call(self._runner.cleanup())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _begin(self) -> web.AppRunner:
        app = web.Application()
        app.add_routes(self.metadata.routes())
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    def _call(self, what: Coroutine[Any, Any, Got]) -> Got:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE_SECONDS)
