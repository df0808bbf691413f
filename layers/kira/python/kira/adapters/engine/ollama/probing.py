"""Finds out how many slots a server has, with tiny requests beside the first run."""

from __future__ import annotations

import asyncio
import logging

import aiohttp

from kira.adapters.engine.ollama.count import Count
from kira.adapters.engine.ollama.flow import Flow
from kira.adapters.engine.ollama.judging import Judge, Verdict
from kira.adapters.engine.ollama.server import OllamaServer
from kira.domain.errors import EngineError, KiraError

log = logging.getLogger("kira.engine")

PROBE = "Count from one to a hundred, in words."
PROBE_TOKENS_MAX = 64
ROUNDS_MAX = 16
ROUND_SECONDS_MAX = 120
AGAIN_SECONDS = 30
"""After a search without a result, the next one waits this long."""

SETTLE_SECONDS = 0.02
"""After probes were cancelled, their slots are free when the server has seen the connections close."""


class Prober:
    """Probes one server, one model at a time. While it does, no run of that model begins."""

    def __init__(self, server: OllamaServer) -> None:
        """Probe `server`."""
        self._server = server
        self._task: asyncio.Task[None] | None = None

    def consider(self, model: str) -> None:
        """Begin to find out the slots of `model` unless they are known; called when a run of it streams."""
        count = self._server.count(model)
        is_busy = self._task is not None and not self._task.done()
        if count.is_found or is_busy or asyncio.get_running_loop().time() < count.not_before:
            return
        count.is_held = True
        self._task = asyncio.get_running_loop().create_task(self._find(model, count))

    async def close(self) -> None:
        """Stop probing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _find(self, model: str, count: Count) -> None:
        server = self._server
        try:
            slots = await self._count(model, count)
            if slots is not None and server.count(model) is count:
                count.slots, count.is_found = slots, True
                log.info("Ollama at %s answers %d at once with %s", server.name, slots, model)
                await self._save(model, slots)
                server.is_suspect.set()  # the next look compares the slots with the card
        finally:
            count.is_held = False
            count.not_before = asyncio.get_running_loop().time() + AGAIN_SECONDS
            server.bell.ring()

    async def _count(self, model: str, count: Count) -> int | None:
        """Probe with more and more until one has to wait, twice; None when the server failed or never let it be seen.

        What was proven meanwhile stands in `count`.
        """
        bound = self._server.config.bound
        hint = count.hint or await self._load(model)
        target = min(bound, hint + 1 if hint else 2)
        before: Verdict | None = None
        for _ in range(ROUNDS_MAX):
            verdict = await self._round(model, target)
            if self._server.state == "down" or self._server.count(model) is not count:
                return None
            if verdict is None:
                continue
            count.slots = max(count.slots, min(bound, verdict.slots))
            if verdict.slots >= bound or (verdict.is_exact and verdict == before):
                return min(verdict.slots, bound)
            target = min(bound, verdict.slots + 1 if verdict.is_exact else max(target, verdict.slots) * 2)
            before = verdict
        return None

    async def _round(self, model: str, target: int) -> Verdict | None:
        """Let `target` answers go at once, runs included, and judge."""
        await self._until_all_stream(model)
        runs = self._flows(model)
        now = asyncio.get_running_loop().time()
        probes = [Flow(model, now) for _ in range(max(1, target - len(runs)))]
        judge = Judge(runs, probes)
        tasks = [asyncio.create_task(self._probe(probe)) for probe in probes]
        try:
            async with asyncio.timeout(ROUND_SECONDS_MAX):
                return await judge.verdict
        except TimeoutError:
            return None
        finally:
            judge.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(SETTLE_SECONDS)

    async def _until_all_stream(self, model: str) -> None:
        while waiting := [flow for flow in self._flows(model) if flow.began_at is None]:
            stirred = asyncio.Event()
            for flow in waiting:
                flow.watcher = stirred.set
            await stirred.wait()

    def _flows(self, model: str) -> list[Flow]:
        return [flow for flow in self._server.flows if flow.model == model]

    async def _probe(self, flow: Flow) -> None:
        messages = [{"role": "user", "content": PROBE}]
        body = self._server.request(flow.model, messages, num_predict=PROBE_TOKENS_MAX)
        try:
            response = await self._server.wire.chat(body, ROUND_SECONDS_MAX)
            try:
                while data := await response.content.readany():
                    flow.heard(data.count(b"\n"))
            finally:
                response.close()
        except (EngineError, aiohttp.ClientError, OSError) as error:
            log.debug("a probe of %s failed: %s", self._server.name, error)
        flow.ended()

    async def _load(self, model: str) -> int | None:
        findings = self._server.config.findings
        try:
            return await findings.load(self._server.address, model, self._version(model)) if findings else None
        except KiraError as error:
            log.warning("what was found before could not be read: %s", error.message)
            return None

    async def _save(self, model: str, slots: int) -> None:
        findings = self._server.config.findings
        try:
            if findings is not None:
                await findings.save(self._server.address, model, self._version(model), slots)
        except KiraError as error:
            log.warning("what was found could not be kept: %s", error.message)

    def _version(self, model: str) -> str:
        known = self._server.known.get(model)
        return f"{self._server.version}/{known.digest if known else ''}"
