"""Ollama's lines of JSON as pieces of an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kira.domain.errors import StreamCut
from kira.ports.engine import Finished, Piece, Text, Thinking, ToolCall

LINE_BYTES_MAX = 8_000_000
_decode = json.JSONDecoder().decode


class Failure(Exception):
    """The server said an error in the middle of its answer."""


class Lines:
    """Joins what arrives to lines and reads them; a line that is no JSON object is passed over."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rest = b""

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Return the pieces in `data`, texts that came together joined; raises Failure for an error line."""
        if self._rest:
            data = self._rest + data
        lines = data.split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LINE_BYTES_MAX:
            raise StreamCut("The model server sent a line without an end.")
        if len(lines) == 1:
            return _pieces(lines[0])
        return _joined([piece for line in lines for piece in _pieces(line)])

    def end(self) -> Sequence[Piece]:
        """Return the pieces of a last line that had no end."""
        rest, self._rest = self._rest, b""
        return _pieces(rest)


def _pieces(line: bytes) -> Sequence[Piece]:
    try:
        told = _decode(line.decode())
        message = told.get("message")
    except (ValueError, AttributeError):
        return ()
    if not isinstance(message, dict):
        message = {}
    text = message.get("content")
    if text and len(message) == 2 and not told.get("done"):
        return (Text(text),)
    if "error" in told:
        raise Failure(str(told["error"]))
    return _rare(told, message)


def _rare(told: dict[str, Any], message: dict[str, Any]) -> list[Piece]:
    found: list[Piece] = []
    if thinking := message.get("thinking"):
        found.append(Thinking(thinking))
    if text := message.get("content"):
        found.append(Text(text))
    for at, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") or {}
        made = ToolCall(call.get("id") or f"call_{at}", str(function.get("name")), function.get("arguments") or {})
        found.append(made)
    if told.get("done"):
        prompt, completion = int(told.get("prompt_eval_count") or 0), int(told.get("eval_count") or 0)
        found.append(Finished(prompt, completion, "length" if told.get("done_reason") == "length" else "stop"))
    return found


def _joined(pieces: Sequence[Piece]) -> Sequence[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if isinstance(piece, Text) and isinstance(last, Text):
            found[-1] = Text(last.text + piece.text)
        else:
            found.append(piece)
    return found
