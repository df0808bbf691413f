"""One Ollama server: what is known of it, which runs it has, and how many more may begin."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Literal

from kira.adapters.engine.bell import Bell
from kira.adapters.engine.ollama.config import OllamaConfig
from kira.adapters.engine.ollama.count import Count
from kira.adapters.engine.ollama.flow import Flow
from kira.adapters.engine.ollama.known import Known
from kira.adapters.engine.ollama.loaded import Loaded
from kira.adapters.engine.ollama.wire import Wire
from kira.domain.errors import EngineError, ModelNotFound, OutOfMemory, ServerBusy, ServerDown, StreamCut, TooSlow

LOADED_BELIEVED_SECONDS = 60
"""How long a model is believed to be loaded after the server said so or answered with it."""


class OllamaServer:
    """State of the server behind `wire`. Slots are only taken while `free` says so."""

    def __init__(self, config: OllamaConfig, address: str, wire: Wire, bell: Bell) -> None:
        """Know nothing yet."""
        self.config, self.address, self.wire, self.bell = config, address, wire, bell
        self.name = address.partition("://")[2]
        self.state: Literal["ok", "down", "slow"] = "down"
        self.trouble: str | None = None
        self.version: str | None = None
        self.known: dict[str, Known] = {}
        self.loaded: dict[str, Loaded] = {}
        self.promised: str | None = None
        self.vram: int | None = None
        self.last_model: str | None = None
        self.is_suspect = asyncio.Event()
        self.looked = asyncio.Event()
        self.flows: set[Flow] = set()
        self.running: Counter[str] = Counter()
        self._counts: dict[str, Count] = {}
        self._hints: dict[str, int] = {}
        self._loaded_until: dict[str, float] = {}
        self._rest_until = 0.0
        self._rest_s = config.pause_min

    def count(self, model: str) -> Count:
        """Return the slots of `model`; what is stated is believed, else one until more are found."""
        if model not in self._counts:
            stated = self.config.stated(self.address)
            known = self.known.get(model)
            made = Count(hint=self._hints.get(model))
            if (known is not None and known.is_forced_one) or self.config.bound == 1:
                made.is_found = True
            elif stated is not None:
                made.slots, made.is_found = min(stated, self.config.bound), True
            self._counts[model] = made
        return self._counts[model]

    @property
    def is_counted(self) -> bool:
        """Say whether the slots of some model are known."""
        return any(count.is_found for count in self._counts.values())

    def slots(self, model: str) -> int:
        """Return how many runs of `model` may go at once; one while the model is partly outside the card."""
        return 1 if self.share_on_card(model) < 1 else self.count(model).slots

    def share_on_card(self, model: str) -> float:
        """Return which part of `model` is on the card, 1.0 when it is not loaded or there is no card."""
        loaded, known = self.loaded.get(model), self.known.get(model)
        return loaded.share_on_card(known.shape if known else None) if loaded else 1.0

    def free(self, model: str) -> int:
        """Return how many runs of `model` may begin now without making another model's runs wait."""
        if self.state == "down" or model not in self.known or self.promised not in (None, model):
            return 0
        if asyncio.get_running_loop().time() < self._rest_until or self.count(model).is_held:
            return 0
        mine = self.running[model]
        others = [other for other, count in self.running.items() if count and other != model]
        if any(other not in self.loaded for other in others):
            return 0  # loading another model may put this one out of memory
        if model not in self.loaded and (others or self._is_holding(model)):
            return 0
        return max(0, self.slots(model) - mine)

    def take(self, model: str) -> Flow:
        """Take a slot."""
        flow = Flow(model, asyncio.get_running_loop().time())
        self.flows.add(flow)
        self.running[model] += 1
        self.last_model = model
        self.bell.touch()
        if self.promised == model:
            self.promised = None
        return flow

    def give(self, flow: Flow) -> None:
        """Give a slot back."""
        self.flows.discard(flow)
        self.running[flow.model] -= 1
        flow.ended()
        self.bell.ring()

    def context(self, model: str) -> int | None:
        """Return the context of `model` in tokens per slot, where it is known."""
        loaded = self.loaded.get(model)
        return (loaded.context if loaded else None) or self.config.context

    def is_believed_loaded(self, model: str) -> bool:
        """Say whether `model` was in memory a short while ago."""
        now = asyncio.get_running_loop().time()
        return model in self.loaded and (self.running[model] > 1 or now < self._loaded_until.get(model, 0))

    def learn_loaded(self, loaded: dict[str, Loaded]) -> None:
        """Take over what `/api/ps` said."""
        if loaded != self.loaded:
            self.bell.ring()
        self.loaded = loaded
        for model in loaded:
            self._believe(model)

    def answered(self, model: str) -> None:
        """Note that `model` answers: it is loaded, and the server is well."""
        self._believe(model)
        self._rest_s = self.config.pause_min
        if self.state == "slow":
            self.state, self.trouble = "ok", None
            self.bell.ring()

    def learn(self, version: str, known: dict[str, Known]) -> None:
        """Take over what a look found; slots are found out anew where the server or a model changed."""
        if self.version is not None and version != self.version:
            self._forget_slots()
        for name, each in known.items():
            before = self.known.get(name)
            if before is not None and before.digest != each.digest:
                self._forget_slots(name)
        if (version, known) != (self.version, self.known) or self.state == "down":
            self.bell.ring()
        self.version, self.known = version, known
        if self.state == "down":
            self.state, self.trouble = "ok", None

    def failed(self, model: str, error: EngineError) -> None:
        """Draw the conclusions of a failure."""
        if isinstance(error, ServerDown | StreamCut):
            self.lost(error)
        elif isinstance(error, ServerBusy | TooSlow):
            self._rest()
            if isinstance(error, TooSlow):
                self.state, self.trouble = "slow", error.message
        elif isinstance(error, ModelNotFound):
            self.known.pop(model, None)
            self.loaded.pop(model, None)
        elif isinstance(error, OutOfMemory):
            self.loaded.pop(model, None)
        self.is_suspect.set()
        self.bell.ring()

    def lost(self, error: EngineError) -> None:
        """Believe nothing of the server until it answers a look again."""
        if self.state != "down":
            self._forget_slots()
        self.state, self.trouble = "down", error.message
        self.loaded = {}
        self.promised = None
        self.is_suspect.set()
        self.bell.ring()

    def request(self, model: str, messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return the body of a request, with the runner's options that all requests share.

        `num_predict` of `more` bounds the answer in tokens; it does not belong to the runner.
        """
        options = dict(self.config.options)
        if "num_predict" in more:
            options["num_predict"] = more.pop("num_predict")
        body = {"model": model, "messages": messages, "stream": True, "options": options}
        return {**body, **self.config.kept_alive(), **more}

    def _is_holding(self, model: str) -> bool:
        return any(count.is_held for other, count in self._counts.items() if other != model)

    def _believe(self, model: str) -> None:
        self._loaded_until[model] = asyncio.get_running_loop().time() + LOADED_BELIEVED_SECONDS

    def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        self._rest_until = loop.time() + self._rest_s
        loop.call_later(self._rest_s + 0.001, self.bell.ring)
        self._rest_s = min(self.config.pause_max, self._rest_s * 2)

    def _forget_slots(self, model: str | None = None) -> None:
        for name in [model] if model is not None else list(self._counts):
            count = self._counts.pop(name, None)
            if count is not None and count.is_found:
                self._hints[name] = count.slots
