"""The test model server's HTTP side: Ollama's routes, a provider's one, and `/test/...` to steer and to count."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from types import TracebackType
from typing import Any

from aiohttp import web

from kira.testing.model_server import openai
from kira.testing.model_server.answers import last_question
from kira.testing.model_server.behaviour import Behaviour, Fault
from kira.testing.model_server.host import Host
from kira.testing.model_server.models import FakeModel
from kira.testing.model_server.stats import Stats
from kira.testing.model_server.streaming import Failed, Streaming

Handler = Any
MEMORY_TEXT = "model requires more system memory (9.1 GiB) than is available (3.2 GiB)"
BUSY_TEXT = "server busy, please try again.  maximum pending requests exceeded"


class ModelServer:
    """An async context manager: listens on loopback while it is open."""

    def __init__(self, behaviour: Behaviour | None = None, *, port: int = 0, **values: Any) -> None:
        """Behave as `behaviour` says, with single `values` changed; `port` 0 takes any free one."""
        self.behaviour = behaviour or Behaviour()
        for name, value in values.items():
            setattr(self.behaviour, name, value)
        self.stats = Stats()
        self.fault: Fault | None = None
        self.host = Host(self.behaviour, self.stats)
        self.port = port
        self._runner: web.AppRunner | None = None
        self._back: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> ModelServer:
        """Begin to listen."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop every connection."""
        if self._back is not None:
            self._back.cancel()
        await self.stop()

    async def start(self) -> None:
        """Listen; after `stop`, on the same port again, with nothing loaded."""
        app = web.Application(client_max_size=64_000_000)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=2048)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections and drop those that are open, as a killed server does."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            for connection in runner.server.connections if runner.server else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await runner.cleanup()
        self.host.unload()

    async def restart(self, seconds: float) -> None:
        """Be killed, and be back after `seconds`."""
        await self.stop()
        await asyncio.sleep(seconds)
        await self.start()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/version", self._guarded(self._version)),
            web.get("/api/tags", self._guarded(self._tags)),
            web.get("/api/ps", self._guarded(self._ps)),
            web.post("/api/show", self._guarded(self._show)),
            web.post("/api/chat", self._guarded(self._chat)),
            web.post("/api/generate", self._guarded(self._generate)),
            web.post("/v1/chat/completions", self._complete),
            web.get("/test/stats", self._stats),
            web.post("/test/reset", self._reset),
            web.post("/test/behaviour", self._behave),
            web.post("/test/fault", self._fail),
            web.post("/test/restart", self._restart),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self.fault is not None and self.fault.kind == "down":
                _hang_up(request)
                return web.Response()
            if self.fault is not None and self.fault.kind == "silent":
                await asyncio.Event().wait()
            try:
                answer: web.StreamResponse = await handler(request)
            except Failed as failed:
                self.stats.failed += 1
                return web.json_response({"error": failed.text}, status=failed.status)
            return answer

        return guarded

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self.behaviour.version})

    async def _tags(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [model.tag() for model in self.behaviour.models]})

    async def _ps(self, _: web.Request) -> web.Response:
        behaviour = self.behaviour
        found = [
            each.model.loaded(json.loads(each.options).get("num_ctx", behaviour.context), behaviour.gpu_share)
            for each in self.host.loaded.values()
        ]
        return web.json_response({"models": found})

    async def _show(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return web.json_response(self._model(body.get("model") or body.get("name")).shown())

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, await _body(request), is_chat=True)

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, await _body(request), is_chat=False)

    async def _answer(self, request: web.Request, body: dict[str, Any], *, is_chat: bool) -> web.StreamResponse:
        self.stats.requests += 1
        self.stats.asked.append(body)
        model = self._model(body.get("model"))
        fault = self._taken_fault()
        streaming = Streaming(self.behaviour, self.stats, model, body, fault, is_chat)
        streaming.check()
        if is_chat and not body.get("messages"):
            return await self._only_load(model, body)
        try:
            async with self.host.slot(model, body, last_question(body)) as load_s:
                return await streaming.run(request, load_s)
        except (asyncio.CancelledError, ConnectionError):
            self.stats.cancelled += 1
            raise

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        """Answer as a hosted provider; who has no key is refused where there is one."""
        body, fault = await _body(request), self.fault
        self.stats.requests += 1
        self.stats.asked.append(body)
        if fault is not None and fault.kind == "down":
            _hang_up(request)
            return web.Response()
        if self.behaviour.key and request.headers.get("authorization") != f"Bearer {self.behaviour.key}":
            return openai.refusal("key")
        if fault is not None and fault.kind == "bound" and "max_tokens" in body:
            return openai.refusal("bound")
        if fault is not None and fault.kind in openai.REFUSALS and fault.kind != "bound":
            return openai.refusal(fault.kind, fault.text)
        model = next((each for each in self.behaviour.models if each.name == body.get("model")), None)
        if model is None:
            return openai.refusal("missing")
        completion = openai.Completion(self.behaviour, self.stats, model.name, body, fault)
        try:
            async with self.host.slot(model, {}, last_question(body)):
                return await completion.run(request)
        except (asyncio.CancelledError, ConnectionError):
            self.stats.cancelled += 1
            raise

    async def _only_load(self, model: FakeModel, body: dict[str, Any]) -> web.Response:
        reason = "unload" if body.get("keep_alive") == 0 else "load"
        if reason == "unload":
            self.host.unload(model.name)
        else:
            await self.host.load(model, body)
        message = {"role": "assistant", "content": ""}
        return web.json_response({"model": model.name, "message": message, "done": True, "done_reason": reason})

    def _model(self, name: object) -> FakeModel:
        if not isinstance(name, str) or not name:
            raise Failed(400, "model is required")
        missing = self.fault is not None and self.fault.kind == "missing"
        wanted = name if ":" in name else f"{name}:latest"
        for model in () if missing else self.behaviour.models:
            if model.name in (name, wanted):
                return model
        raise Failed(404, f"model '{name}' not found")

    def _taken_fault(self) -> Fault | None:
        fault = self.fault
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.fault = None
        if fault is not None and fault.kind == "busy":
            raise Failed(503, fault.text or BUSY_TEXT)
        if fault is not None and fault.kind == "memory":
            raise Failed(500, fault.text or MEMORY_TEXT)
        if fault is not None and fault.kind == "500":
            raise Failed(500, fault.text or "llama runner process has terminated: exit status 2")
        return fault

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response({**self.stats.shown(), "connections": self.connections})

    async def _reset(self, _: web.Request) -> web.Response:
        self.stats.reset()
        return web.json_response({})

    async def _behave(self, request: web.Request) -> web.Response:
        self.behaviour.change(await request.json())
        return web.json_response({})

    async def _fail(self, request: web.Request) -> web.Response:
        given = await request.json()
        self.fault = Fault(**given) if given.get("kind") else None
        return web.json_response(dataclasses.asdict(self.fault) if self.fault else {})

    async def _restart(self, request: web.Request) -> web.Response:
        given = await request.json()
        self._back = asyncio.create_task(self._later(float(given.get("seconds", 0.5))))
        return web.json_response({})

    async def _later(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # this answer goes out first
        await self.restart(seconds)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        server = self._runner.server if self._runner is not None else None
        return len(server.connections) if server is not None else 0


async def _body(request: web.Request) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = json.loads(await request.read())
        if isinstance(found, dict):
            return found
    raise Failed(400, "invalid character in the request")


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
