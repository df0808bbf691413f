"""Ollama's errors as Kira's: every sentence says what went wrong and what helps."""

from __future__ import annotations

import re

from kira.domain.errors import (
    EngineError,
    ModelNotFound,
    OutOfMemory,
    ServerBusy,
    ServerDown,
    StreamCut,
    TooLong,
    TooSlow,
)

_MEMORY = re.compile(
    r"out of memory|requires more system memory|cudaMalloc|failed to allocate|insufficient memory|"
    r"unable to allocate|ErrorOutOfDeviceMemory",
    re.IGNORECASE,
)
_CRASHED = re.compile(r"terminated|unexpected EOF|connection (re|forcibly)|broken pipe|signal:", re.IGNORECASE)
_TOO_LONG = re.compile(r"longer than the context|exceeds the (available )?context", re.IGNORECASE)
_SAID_CHARACTERS_MAX = 300


def from_status(status: int, text: str, model: str, name: str) -> EngineError:
    """Return the error for an answer of `status` with the server's `text`."""
    if status == 404:
        return not_found(model)
    if status in (429, 503):
        return ServerBusy(f"Ollama at {name} is busy with other work; the answer goes on when it is free.")
    return from_text(text, model, name)


def from_text(text: str, model: str, name: str) -> EngineError:
    """Return the error for what the server says, before an answer or in the middle of one."""
    said = " ".join(text.split())[:_SAID_CHARACTERS_MAX] or "no reason"
    if _MEMORY.search(text):
        return OutOfMemory(
            f"{model} does not fit into the memory of Ollama at {name} ({said}). "
            "Choose a smaller model, close other programs that use the card, or lower KIRA_CONTEXT."
        )
    if _TOO_LONG.search(text):
        return TooLong()
    if _CRASHED.search(text):
        return StreamCut(f"Ollama at {name} stopped in the middle of the answer ({said}).")
    if "not found" in text:
        return not_found(model)
    return EngineError(f"Ollama at {name} could not answer: {said}.")


def not_found(model: str) -> ModelNotFound:
    """Return the error for a model that no server has."""
    return ModelNotFound(f"Ollama does not have {model}. Pull it with `ollama pull {model}`, or choose another model.")


def down(name: str) -> ServerDown:
    """Return the error for a server that does not answer."""
    return ServerDown(f"Ollama at {name} does not answer. Start it with `ollama serve`; Kira goes on by itself.")


def cut(name: str) -> StreamCut:
    """Return the error for an answer that ended before it was done."""
    return StreamCut(f"Ollama at {name} stopped in the middle of the answer.")


def too_slow(name: str, seconds: float) -> TooSlow:
    """Return the error for a server that said nothing for `seconds`."""
    return TooSlow(
        f"Ollama at {name} said nothing for {seconds:.0f} seconds. It may be overloaded; restart it if it stays so."
    )
