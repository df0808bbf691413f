"""Which model a server loads next, so that changing models is rare and none waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from kira.adapters.engine.ollama.server import OllamaServer


class Wants:
    """Remembers since when runs wait for models that are not running anywhere."""

    def __init__(self, patience_s: float) -> None:
        """After `patience_s` seconds a server drains for a model that waits."""
        self._patience = patience_s
        self._since: dict[str, float] = {}

    def note(self, models: Collection[str], servers: Sequence[OllamaServer]) -> None:
        """Take note that runs wait for `models`, and promise a server to one that waited long enough."""
        now = asyncio.get_running_loop().time()
        idle = [model for model in models if not any(server.running[model] for server in servers)]
        self._since = {model: self._since.get(model, now) for model in models}
        for model in models:
            if model not in idle:
                self._since[model] = now
        for server in servers:
            if server.promised is not None and server.promised not in self._since:
                server.promised = None
                server.bell.ring()
        for model in sorted(idle, key=self._since.__getitem__):
            if now - self._since[model] >= self._patience:
                _promise(model, servers)

    def allow(self, server: OllamaServer, model: str) -> bool:
        """Say whether `server` may begin `model` now as far as other models that are waited for are concerned."""
        if model in server.loaded or server.promised == model:
            return True
        here = {name: since for name, since in self._since.items() if name in server.known}
        if not here:
            return True
        if any(name in server.loaded for name in here):
            return False
        return min(here, key=here.__getitem__) == model


def _promise(model: str, servers: Sequence[OllamaServer]) -> None:
    having = [server for server in servers if model in server.known and server.state != "down"]
    if any(server.promised == model for server in having):
        return
    free = [server for server in having if server.promised is None]
    if free:
        chosen = min(free, key=lambda server: len(server.flows))
        chosen.promised = model
        chosen.bell.ring()
