"""The demo engine: answers without a model, so that everything can be tried, and says that it does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

from kira.adapters.engine.bell import Bell
from kira.domain.context import estimate
from kira.domain.errors import ModelNotFound, ServerBusy
from kira.ports.engine import Finished, Fleet, Model, Piece, Prompt, Room, Server, Text

DEMO = "demo"
SLOTS = 4
WORDS_PER_SECOND = 30.0
QUOTED_CHARACTERS_MAX = 200
_WORD = re.compile(r"\s*\S+\s*?(?=\s|$)|\s+")

ANSWER = """\
This is the **demo model**. It is a fixed text, not a language model, so it cannot answer you, but everything around \
it is real: this answer waited in the same queue, took one of {slots} slots, and streamed word by word.

You wrote:

> {quoted}

That was message {number} of this conversation. What you can try here:

- stop this answer, regenerate it, or edit your message to begin a branch
- open a second tab and watch it follow
- search, rename and delete conversations

Code looks like this:

```python
print("Hello from the demo model")
```

For real answers install [Ollama](https://ollama.com), pull a model with `ollama pull llama3.2`, and choose that one.
"""


class ScriptedEngine:
    """Keeps the Engine promise with a fixed text."""

    def __init__(
        self, *, words_per_second: float = WORDS_PER_SECOND, slots: int = SLOTS, bell: Bell | None = None
    ) -> None:
        """Stream at a readable pace."""
        self._pause_s = 1 / words_per_second
        self._slots = slots
        self._running = 0
        self._bell = bell or Bell()

    async def start(self) -> None:
        """There is nothing to watch."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def looked(self) -> None:
        """Return at once: there is nothing to look for."""

    async def changed(self) -> None:
        """Return when a slot became free."""
        await self._bell.heard()

    def wanted(self, models: Collection[str]) -> None:
        """Nothing is loaded here, so nothing has to make room."""

    def fleet(self) -> Fleet:
        """Return the one model."""
        model = Model(DEMO, "Demo (no real model)", loaded=True, demo=True, capabilities=("completion",))
        message = f"The demo model answers {self._slots} at a time with a fixed text."
        server = Server(DEMO, "ok", message, DEMO, self._slots, self._running)
        return Fleet((model,), (server,), DEMO)

    def room(self) -> list[Room]:
        """Return the free slots."""
        free = self._slots - self._running
        return [Room(DEMO, free, loaded=True)] if free > 0 else []

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Stream the fixed text; raises ModelNotFound for another model's name and ServerBusy without a free slot."""
        if prompt.model != DEMO:
            raise ModelNotFound(f"There is no model {prompt.model} here; there is only the demo model.")
        if self._running >= self._slots:
            raise ServerBusy
        self._running += 1
        self._bell.touch()
        try:
            async with aclosing(self._pieces(prompt)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._running -= 1
            self._bell.ring()

    async def _pieces(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        asked = sum(estimate(line.content) for line in prompt.messages)
        words = _WORD.findall(answer_to(prompt, self._slots))
        now = asyncio.get_running_loop().time
        began = now()
        for at, word in enumerate(words[: prompt.tokens_max]):
            await asyncio.sleep(max(0.0, began + at * self._pause_s - now()))
            yield Text(word)
        spoken = min(len(words), prompt.tokens_max)
        yield Finished(asked, spoken, "stop" if spoken == len(words) else "length")


def answer_to(prompt: Prompt, slots: int = SLOTS) -> str:
    """Return the whole answer to `prompt`."""
    said = [line.content for line in prompt.messages if line.role == "user"]
    last = " ".join(said[-1].split()) if said else ""
    quoted = last[:QUOTED_CHARACTERS_MAX] + (" ..." if len(last) > QUOTED_CHARACTERS_MAX else "")
    number = sum(line.role != "system" for line in prompt.messages)
    return ANSWER.format(slots=slots, quoted=quoted, number=number)
