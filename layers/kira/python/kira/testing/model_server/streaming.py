"""One answer of the test server, token by token in Ollama's NDJSON, with the fault it was given."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kira.testing.model_server.answers import Answer, answer_to, prompt_tokens
from kira.testing.model_server.behaviour import SLOW_DOWN, Behaviour, Fault
from kira.testing.model_server.models import FakeModel
from kira.testing.model_server.stats import Stats

SAID_AT = "2026-11-24T02:00:00.000000000Z"
NANOSECOND = 1e-9
LOOK_SECONDS = 0.05


class Failed(Exception):
    """An answer that is an error, in Ollama's shape."""

    def __init__(self, status: int, text: str) -> None:
        """Answer `status` with `text`."""
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(slots=True)
class Streaming:
    """Writes one answer for one request."""

    behaviour: Behaviour
    stats: Stats
    model: FakeModel
    body: dict[str, Any]
    fault: Fault | None
    is_chat: bool

    def check(self) -> None:
        """Refuse what the model cannot do, as Ollama does."""
        messages = self.body.get("messages", [])
        if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
            raise Failed(400, "json: cannot unmarshal messages")
        if self.body.get("think") and "thinking" not in self.model.capabilities:
            raise Failed(400, f'"{self.model.name}" does not support thinking')
        if self.body.get("tools") and "tools" not in self.model.capabilities:
            raise Failed(400, f"registry.ollama.ai/library/{self.model.name} does not support tools")
        if "completion" not in self.model.capabilities:
            raise Failed(400, f'"{self.model.name}" does not support chat')

    async def run(self, request: web.Request, load_s: float) -> web.StreamResponse:
        """Answer at the pace of `behaviour`; headers go out with the first token, as in Ollama."""
        thinks = "thinking" in self.model.capabilities and self.body.get("think") is not False
        answer = answer_to(self.body, self.behaviour.tokens, thinks=thinks)
        await self._until_first()
        if self.body.get("stream") is False:
            return await self._whole(answer, load_s)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        if not await self._tokens(request, response, answer):
            return response
        for call in answer.tool_calls:
            await response.write(self._line({"role": "assistant", "content": "", "tool_calls": [call]}))
        await response.write(_packed({**self._head(), **self._said({"content": ""}), **self._end(answer, load_s)}))
        await response.write_eof()
        self.stats.answered += 1
        return response

    async def _until_first(self) -> None:
        """Wait for the first token; whoever changes `first` meanwhile is obeyed."""
        waited = 0.0
        while (rest := self.behaviour.first - waited) > 0:
            step = min(rest, LOOK_SECONDS)
            await asyncio.sleep(step)
            waited += step

    async def _tokens(self, request: web.Request, response: web.StreamResponse, answer: Answer) -> bool:
        """Write the tokens; return False when a fault ended the answer."""
        now = asyncio.get_running_loop().time
        began = now()
        pieces = [("thinking", text) for text in answer.thinking] + [("content", text) for text in answer.tokens]
        fault_at = self.fault.after if self.fault is not None else -1
        before, after = (part.encode() for part in self._around())
        for at, (field, text) in enumerate(pieces):
            if at == fault_at and not await self._fail(request, response):
                return False
            if field == "thinking":
                data = self._line({"role": "assistant", "content": "", "thinking": text})
            else:
                data = before + json.dumps(text).encode() + after
            await self._write(response, data)
            self.stats.tokens += 1
            pause = began + (at + 1) / self._rate() - now()
            await asyncio.sleep(max(0.0, pause))  # a server that is behind still lets its slots take turns
        return True

    def _rate(self) -> float:
        slow = self.fault is not None and self.fault.kind == "slow"
        return self.behaviour.rate / (SLOW_DOWN if slow else 1)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        if self.fault is not None and self.fault.kind == "split":
            middle = len(data) // 2
            await response.write(data[:middle])
            await asyncio.sleep(0.001)
            data = data[middle:]
        await response.write(data)

    async def _fail(self, request: web.Request, response: web.StreamResponse) -> bool:
        """Do what the fault says at this token; return False when the answer is over."""
        fault = self.fault
        if fault is None:
            return True
        if fault.kind == "error-line":
            text = fault.text or "an error was encountered while running the model: unexpected EOF"
            await response.write(_packed({"error": text}))
            await response.write_eof()
            return False
        if fault.kind == "cut" and request.transport is not None:
            request.transport.close()
            return False
        if fault.kind == "stall":
            await asyncio.Event().wait()
        if fault.kind == "garbage":
            await response.write(b'{"model": "te\n\xff\xfe not json\n[]\n\n')
        return True

    async def _whole(self, answer: Answer, load_s: float) -> web.Response:
        await asyncio.sleep(len(answer.tokens) / self._rate())
        message: dict[str, Any] = {"content": "".join(answer.tokens)}
        if answer.thinking:
            message["thinking"] = "".join(answer.thinking)
        if answer.tool_calls:
            message["tool_calls"] = list(answer.tool_calls)
        self.stats.answered += 1
        self.stats.tokens += len(answer.tokens)
        return web.json_response({**self._head(), **self._said(message), **self._end(answer, load_s)})

    def _head(self) -> dict[str, Any]:
        return {"model": self.model.name, "created_at": SAID_AT}

    def _said(self, message: dict[str, Any]) -> dict[str, Any]:
        return {"message": {"role": "assistant", **message}} if self.is_chat else {"response": message["content"]}

    def _line(self, message: dict[str, Any]) -> bytes:
        return _packed({**self._head(), **self._said(message), "done": False})

    def _around(self) -> tuple[str, str]:
        """Return what stands before and after the text of a token, so that a token costs one small dump."""
        before, _, after = self._line({"content": "\x00"}).decode().partition(json.dumps("\x00"))
        return before, after

    def _end(self, answer: Answer, load_s: float) -> dict[str, Any]:
        spent = len(answer.tokens) / self._rate()
        return {
            "done_reason": answer.reason,
            "done": True,
            "total_duration": int((load_s + self.behaviour.first + spent) / NANOSECOND),
            "load_duration": int(load_s / NANOSECOND),
            "prompt_eval_count": prompt_tokens(self.body),
            "prompt_eval_duration": int(self.behaviour.first / NANOSECOND),
            "eval_count": len(answer.tokens) + len(answer.thinking),
            "eval_duration": int(spent / NANOSECOND),
        }


def _packed(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
