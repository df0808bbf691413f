"""A provider's server-sent events as pieces of an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kira.domain.errors import StreamCut
from kira.ports.engine import Finished, Piece, Text, Thinking, ToolCall

LINE_BYTES_MAX = 8_000_000
DONE = "[DONE]"
THINKING = ("reasoning_content", "reasoning")
"""How providers call what a model thinks; the protocol has no word for it."""


class Failure(Exception):
    """The provider said an error in the middle of its answer."""


@dataclass(slots=True)
class Events:
    """Joins what arrives to events and reads them; one that is no JSON object is passed over.

    `is_whole` once the provider said that the answer is over; what it cost may come after its last word.
    """

    prompt_tokens: int
    is_whole: bool = False
    texts: int = 0
    _rest: bytes = b""
    _reason: str | None = None
    _usage: dict[str, Any] = field(default_factory=dict)
    _calls: dict[int, dict[str, str]] = field(default_factory=dict)

    def feed(self, data: bytes) -> list[Piece]:
        """Return the pieces in `data`; raises Failure for an error."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LINE_BYTES_MAX:
            raise StreamCut("The provider sent a line without an end.")
        return [piece for line in lines if line.startswith(b"data:") for piece in self._pieces(line[5:])]

    def end(self) -> Sequence[Piece]:
        """Return the last pieces, when the connection ends; none when the answer was not whole."""
        if self._reason is None:
            return ()
        self.is_whole = True
        calls = [self._calls[place] for place in sorted(self._calls)]
        tools = [ToolCall(call["id"], call["name"], _arguments(call["arguments"])) for call in calls]
        # Who does not say what was spent is believed to send a token at a time.
        spent = self._usage.get("completion_tokens")
        asked = self._usage.get("prompt_tokens")
        asked = asked if isinstance(asked, int) else self.prompt_tokens
        reason = "length" if self._reason == "length" else "stop"
        return [*tools, Finished(asked, spent if isinstance(spent, int) else self.texts, reason)]

    def _pieces(self, line: bytes) -> Sequence[Piece]:
        text = line.decode(errors="replace").strip()
        if text == DONE:
            self._reason = self._reason or "stop"
            return self.end()
        try:
            told = json.loads(text)
            if "error" in told:
                raise Failure(_error(told["error"]))
            self._usage = told.get("usage") or self._usage
            choice = (told.get("choices") or [{}])[0]
        except (ValueError, TypeError, AttributeError):
            return ()
        self._reason = choice.get("finish_reason") or self._reason
        return self._delta(choice.get("delta") or {})

    def _delta(self, delta: dict[str, Any]) -> list[Piece]:
        found: list[Piece] = []
        for name in THINKING:
            if thought := delta.get(name):
                found.append(Thinking(str(thought)))
                break
        if text := delta.get("content"):
            self.texts += 1
            found.append(Text(str(text)))
        for each in delta.get("tool_calls") or ():
            self._call(each)
        return found

    def _call(self, part: dict[str, Any]) -> None:
        """Join a part of a call to what came of it before."""
        function = part.get("function") or {}
        place = int(part.get("index") or 0)
        call = self._calls.setdefault(place, {"id": f"call_{place}", "name": "", "arguments": ""})
        call["id"] = part.get("id") or call["id"]
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(told: object) -> str:
    return str(told.get("message") or told) if isinstance(told, dict) else str(told)
