"""What people are told about a server: what was found, and what would help."""

from __future__ import annotations

from kira.adapters.engine.ollama.server import OllamaServer
from kira.domain.capacity import slots_that_fit
from kira.domain.limits import SLOTS_PROBED_MAX
from kira.ports.engine import Server

CONTEXT_ASSUMED = 4096
"""Ollama's context on most cards when nothing else is set."""


def described(server: OllamaServer) -> Server:
    """Return `server` as people see it."""
    model = _model_of(server)
    running = len(server.flows)
    if server.state == "down":
        return Server(server.name, "down", server.trouble or "", running=running)
    if not any(known.is_chat for known in server.known.values()):
        message = f"Ollama at {server.name} has no model to talk to. Pull one with `ollama pull llama3.2`."
        return Server(server.name, "empty", message, running=running)
    slots = server.slots(model) if model else 1
    message = server.trouble or _message(server, model)
    return Server(server.name, server.state, message, model, slots, running)


def room_on_card(server: OllamaServer, model: str) -> int | None:
    """Return for how many slots of `model` the server's card has room, where that can be known."""
    known = server.known.get(model)
    if server.vram is None or known is None or known.shape is None:
        return None
    context = server.context(model) or known.stated_context or CONTEXT_ASSUMED
    return min(SLOTS_PROBED_MAX, slots_that_fit(known.shape, server.vram, context))


def _model_of(server: OllamaServer) -> str | None:
    """Return the model that is talked about: the last one used, else one that is loaded, else the first."""
    chat = [name for name, known in server.known.items() if known.is_chat]
    if server.last_model in chat:
        return server.last_model
    return next((name for name in chat if name in server.loaded), chat[0] if chat else None)


def _message(server: OllamaServer, model: str | None) -> str:
    if model is None:
        return f"Ollama {server.version} is ready."
    share = server.share_on_card(model)
    label = server.known[model].label
    if share < 1:
        return (
            f"{label} does not fit on the card: {1 - share:.0%} of it runs on the processor, slowly and one answer "
            "at a time. Choose a smaller model, or less context with KIRA_CONTEXT."
        )
    if not server.count(model).is_found:
        return f"Ollama {server.version} is ready; how many answers go at once is found out with the first one."
    slots = server.slots(model)
    answers = f"Ollama answers {'one' if slots == 1 else slots} at a time"
    room = room_on_card(server, model)
    if room is not None and room > slots and not server.known[model].is_forced_one:
        if server.config.slots is not None and slots >= server.config.slots:
            return f"{answers}; this card has room for {room}: raise KIRA_SLOTS and OLLAMA_NUM_PARALLEL"
        return f"{answers}; this card has room for {room}: set OLLAMA_NUM_PARALLEL={room}"
    return f"{answers}."
