"""The test model server as a hosted provider: chat completions in server-sent events, and a provider's errors."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kira.testing.model_server.answers import Answer, answer_to, prompt_tokens
from kira.testing.model_server.behaviour import SLOW_DOWN, Behaviour, Fault
from kira.testing.model_server.stats import Stats

REFUSALS = {
    "busy": (429, "Rate limit reached for requests", "rate_limit_error"),
    "memory": (400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
    "500": (500, "The server had an error while processing your request.", "server_error"),
    "missing": (404, "The model does not exist or you do not have access to it.", "model_not_found"),
    "bound": (400, "Unsupported parameter: use 'max_completion_tokens' instead.", "unsupported_parameter"),
    "key": (401, "Incorrect API key provided.", "invalid_api_key"),
}
"""What a provider says for each fault that comes before an answer."""


def refusal(kind: str, text: str | None = None) -> web.Response:
    """Return the answer to a request that is refused for the fault `kind`."""
    status, said, code = REFUSALS[kind]
    told = {"error": {"message": text or said, "type": code, "code": code}}
    return web.json_response(told, status=status, headers={"retry-after": "0"} if status == 429 else None)


@dataclass(slots=True)
class Completion:
    """Writes one answer."""

    behaviour: Behaviour
    stats: Stats
    model: str
    body: dict[str, Any]
    fault: Fault | None

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Answer at the pace of the behaviour; the head goes out at once, as providers do."""
        body = {
            **self.body,
            "options": {"num_predict": self.body.get("max_tokens") or self.body.get("max_completion_tokens")},
        }
        answer = answer_to(body, self.behaviour.tokens, thinks=False)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.sleep(self.behaviour.first)
        await self._write(response, self._chunk({"role": "assistant", "content": ""}))
        if not await self._texts(request, response, answer):
            return response
        for call in answer.tool_calls:
            await self._tool(response, call["function"])
        reason = "tool_calls" if answer.tool_calls else answer.reason
        await self._write(response, self._chunk({}, reason))
        if self.behaviour.usage and (self.body.get("stream_options") or {}).get("include_usage"):
            spent = {"prompt_tokens": prompt_tokens(self.body), "completion_tokens": len(answer.tokens)}
            await self._write(response, _event({"model": self.model, "choices": [], "usage": spent}))
        await self._write(response, b"data: [DONE]\n\n")
        await response.write_eof()
        self.stats.answered += 1
        return response

    async def _texts(self, request: web.Request, response: web.StreamResponse, answer: Answer) -> bool:
        now = asyncio.get_running_loop().time
        began, rate = now(), self.behaviour.rate / (SLOW_DOWN if self._is("slow") else 1)
        for at, text in enumerate(answer.tokens):
            if self.fault is not None and at == self.fault.after and not await self._fail(request, response):
                return False
            await self._write(response, self._chunk({"content": text}))
            self.stats.tokens += 1
            await asyncio.sleep(max(0.0, began + (at + 1) / rate - now()))
        return True

    async def _tool(self, response: web.StreamResponse, call: dict[str, Any]) -> None:
        """Say a call in two parts, as providers do."""
        begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": call["name"], "arguments": ""}}
        rest = {"index": 0, "function": {"arguments": json.dumps(call["arguments"])}}
        for part in (begun, rest):
            await self._write(response, self._chunk({"tool_calls": [part]}))

    async def _fail(self, request: web.Request, response: web.StreamResponse) -> bool:
        if self._is("error-line"):
            text = (self.fault.text if self.fault else None) or "The model produced an error."
            await response.write(_event({"error": {"message": text, "type": "server_error"}}))
            await response.write_eof()
            return False
        if self._is("cut") and request.transport is not None:
            request.transport.close()
            return False
        if self._is("stall"):
            await asyncio.Event().wait()
        if self._is("garbage"):
            await response.write(b": a comment\n\ndata: {no json\n\ndata: [1]\n\nevent: other\n\n")
        return True

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        if self._is("split"):
            await response.write(data[: len(data) // 2])
            await asyncio.sleep(0.001)
            data = data[len(data) // 2 :]
        await response.write(data)

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        return _event({"model": self.model, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    def _is(self, kind: str) -> bool:
        return self.fault is not None and self.fault.kind == kind


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
