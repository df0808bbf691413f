"""A provider's errors as Kira's: every sentence says what went wrong and what helps."""

from __future__ import annotations

import re

from kira.domain.errors import (
    EngineError,
    ModelNotFound,
    ServerBusy,
    ServerDown,
    StreamCut,
    TooLong,
    TooSlow,
)

_TOO_LONG = re.compile(
    r"context.{0,20}(length|window)|maximum context|too many tokens|prompt is too long", re.IGNORECASE
)
_BUSY = re.compile(r"rate.?limit|overloaded|too many requests|quota", re.IGNORECASE)
_SAID_CHARACTERS_MAX = 300


def from_status(status: int, text: str, model: str, name: str) -> EngineError:
    """Return the error for an answer of `status` with the provider's `text`."""
    if status in (401, 403):
        return EngineError(f"{name} does not accept Kira's key ({status}). Whoever runs Kira has to check it.")
    if status == 402:
        return EngineError(f"{name} wants to be paid first: {_said(text)}. Whoever runs Kira has to see to it.")
    if status == 404:
        return not_found(model, name)
    if status in (429, 503, 529):
        return busy(name)
    if status >= 500:
        return StreamCut(f"{name} failed ({status}: {_said(text)}).")
    return from_text(text, name)


def from_text(text: str, name: str) -> EngineError:
    """Return the error for what the provider says, before an answer or in the middle of one."""
    if _TOO_LONG.search(text):
        return TooLong()
    if _BUSY.search(text):
        return busy(name)
    return EngineError(f"{name} could not answer: {_said(text)}.")


def broken(text: str, name: str) -> EngineError:
    """Return the error for what the provider says in the middle of an answer: the run goes again."""
    error = from_text(text, name)
    return error if isinstance(error, TooLong | ServerBusy) else StreamCut(f"{name} stopped: {_said(text)}.")


def busy(name: str) -> ServerBusy:
    """Return the error for a provider that wants fewer requests."""
    return ServerBusy(f"{name} wants fewer requests just now; the answer goes on by itself.")


def not_found(model: str, name: str) -> ModelNotFound:
    """Return the error for a model that the provider does not have."""
    return ModelNotFound(f"{name} does not have {model}. Choose another model.")


def down(name: str) -> ServerDown:
    """Return the error for a provider that does not answer."""
    return ServerDown(f"{name} does not answer. Kira goes on by itself when it does.")


def cut(name: str) -> StreamCut:
    """Return the error for an answer that ended before it was done."""
    return StreamCut(f"{name} stopped in the middle of the answer.")


def too_slow(name: str, seconds: float) -> TooSlow:
    """Return the error for a provider that said nothing for `seconds`."""
    return TooSlow(f"{name} said nothing for {seconds:.0f} seconds.")


def _said(text: str) -> str:
    return " ".join(text.split())[:_SAID_CHARACTERS_MAX].rstrip(".") or "no reason"
