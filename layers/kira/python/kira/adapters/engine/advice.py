"""What to do next when there is no model to choose."""

from __future__ import annotations

from collections.abc import Sequence

from kira.ports.engine import Model, Server


def advice(models: Sequence[Model], servers: Sequence[Server]) -> str | None:
    """Return a sentence for people, or None when `models` has one."""
    if models:
        return None
    meanwhile = "Until then the demo model answers."
    if any(server.state == "empty" for server in servers):
        return f"Ollama has no model yet. Pull one with `ollama pull llama3.2`; Kira finds it by itself. {meanwhile}"
    where = " and ".join(server.name for server in servers) or "any address"
    return (
        f"No Ollama answers at {where}. Install it from https://ollama.com, start it with `ollama serve`, then pull a "
        f"model with `ollama pull llama3.2`; Kira finds it by itself. {meanwhile}"
    )
